//! Tokens of our own: for development, and for calls from one context to another.

use std::{
    fmt,
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Context as _;
use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD as BASE64_URL},
};
use http::HeaderValue;
use ring::signature::{Ed25519KeyPair, KeyPair};
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject};
use serde_json::json;

use jumun_core::{
    Role, RoleTable,
    name::{new_id, short_hash},
    random,
    time::{Instant, system_now},
};

/// How long a token lives that one context shows another. It is replaced at half of that.
const SERVICE_TOKEN_TTL: Duration = Duration::from_secs(300);
/// The columns of a PEM file.
const PEM_COLUMNS: usize = 64;

/// What a token says.
#[derive(Clone, Debug)]
pub struct Claims<'a> {
    /// Who issues it.
    pub issuer: &'a str,
    /// Whom it is for.
    pub audience: &'a str,
    /// Who shows it, e.g. `readers/mina`.
    pub subject: &'a str,
    /// The roles of who shows it.
    pub roles: &'a [Role],
    /// How tokens write them.
    pub table: &'a RoleTable,
    /// How long it is valid from now on.
    pub ttl: Duration,
}

/// An Ed25519 key that signs tokens.
#[derive(Clone)]
pub struct SigningKey {
    id: String,
    pair: Arc<Ed25519KeyPair>,
}

impl SigningKey {
    /// Reads a PKCS#8 key in PEM, as `openssl genpkey -algorithm ed25519` writes it.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let read = || -> anyhow::Result<Self> {
            let der = PrivatePkcs8KeyDer::from_pem_file(path).map_err(|error| anyhow::anyhow!("{error:?}"))?;
            let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der())
                .map_err(|error| anyhow::anyhow!("not an Ed25519 key: {error}"))?;
            Ok(Self { id: short_hash(pair.public_key().as_ref()), pair: pair.into() })
        };
        read().with_context(|| format!("cannot read the signing key {}", path.display()))
    }

    /// Makes a new key, in a file that only its owner reads. Fails when there is one, whole, at the path.
    pub fn create(path: &Path) -> anyhow::Result<Self> {
        let der = Ed25519KeyPair::generate_pkcs8(&random::secure()).map_err(|_| anyhow::anyhow!("no randomness"))?;
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        // Nobody finds it half written, and of two who make one at the same time the second fails.
        let draft = path.with_extension(new_id());
        let write = || -> std::io::Result<()> {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
            file.write_all(pem(der.as_ref()).as_bytes())?;
            file.sync_all()?;
            fs::hard_link(&draft, path)
        };
        let written = write();
        fs::remove_file(&draft)?;
        written.with_context(|| format!("cannot create {}", path.display()))?;
        Self::open(path)
    }

    /// The JSON Web Key Set with its public part.
    pub fn jwks(&self) -> String {
        let x = BASE64_URL.encode(self.public());
        let key = json!({"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": self.id, "x": x});
        json!({"keys": [key]}).to_string()
    }

    /// A signed token.
    pub fn sign(&self, claims: &Claims<'_>) -> String {
        let now = u64::try_from(system_now().0 / 1_000_000).unwrap_or_default();
        let roles: Vec<_> = claims.roles.iter().map(|role| claims.table.claim(*role)).collect();
        let header = json!({"alg": "EdDSA", "typ": "JWT", "kid": self.id});
        let claims = json!({
            "iss": claims.issuer, "aud": claims.audience, "sub": claims.subject, "roles": roles,
            "iat": now, "nbf": now, "exp": now + claims.ttl.as_secs(),
        });
        let signed = format!("{}.{}", encode(&header), encode(&claims));
        let signature = BASE64_URL.encode(self.pair.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn public(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.id)
    }
}

fn encode(value: &serde_json::Value) -> String {
    BASE64_URL.encode(value.to_string())
}

fn pem(der: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(der);
    let lines: Vec<_> = text.as_bytes().chunks(PEM_COLUMNS).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"))
}

/// How a context shows another process who it is.
pub struct ServiceToken {
    key: SigningKey,
    issuer: String,
    audience: String,
    subject: String,
    roles: RoleTable,
    present: Mutex<Option<(HeaderValue, Instant)>>,
}

impl ServiceToken {
    pub(crate) fn new(key: SigningKey, issuer: String, audience: String, subject: String, roles: RoleTable) -> Self {
        Self { key, issuer, audience, subject, roles, present: Mutex::default() }
    }

    /// The value of `authorization`.
    pub fn header(&self) -> HeaderValue {
        let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((header, signed)) = &*present
            && signed.elapsed() < SERVICE_TOKEN_TTL / 2
        {
            return header.clone();
        }
        let token = self.key.sign(&Claims {
            issuer: &self.issuer,
            audience: &self.audience,
            subject: &self.subject,
            roles: &[self.roles.service],
            table: &self.roles,
            ttl: SERVICE_TOKEN_TTL,
        });
        let mut header = HeaderValue::try_from(format!("Bearer {token}")).expect("base64 and dots are ASCII");
        header.set_sensitive(true);
        *present = Some((header.clone(), Instant::now()));
        header
    }
}
