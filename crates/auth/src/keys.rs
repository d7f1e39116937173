//! The keys that verify tokens, and a cache of the tokens that they verified.
//!
//! The key determines the algorithm, never the token: a token that names another algorithm than its key's is rejected.
//! This prevents `none`, and public keys that are used as shared secrets (RFC 8725).

#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64_URL};
use ring::{
    digest::{SHA256, SHA256_OUTPUT_LEN, digest},
    signature::{
        ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
    },
};
use serde::Deserialize;

use jumun_core::{Error, Principal, reasons};

use crate::mint::SigningKey;

/// Maximum number of keys in a set.
const MAX_KEYS: usize = 64;
/// Maximum number of cached tokens.
const MAX_CACHED_TOKENS: usize = 16_384;

/// Why a token is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenError {
    /// Its key is not in the set; a newer set may have it.
    UnknownKey,
    Expired,
    Invalid(&'static str),
}

impl From<TokenError> for Error {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Expired => Error::new(&reasons::TOKEN_EXPIRED, "the token has expired; get a new one"),
            TokenError::UnknownKey => Error::new(&reasons::TOKEN_INVALID, "the token is not valid: its key is unknown"),
            TokenError::Invalid(why) => Error::new(&reasons::TOKEN_INVALID, format!("the token is not valid: {why}")),
        }
    }
}

/// The principal of a verified token, and its expiry (seconds since the Unix epoch).
pub(crate) struct Verified {
    pub(crate) principal: Arc<Principal>,
    pub(crate) expires: u64,
}

/// The keys of an issuer, with a cache of the tokens that they verified.
pub(crate) struct KeySet {
    /// The document that it was read from, to detect changes.
    source: String,
    keys: Vec<Key>,
    verified: Mutex<HashMap<[u8; SHA256_OUTPUT_LEN], Verified>>,
}

struct Key {
    id: Option<String>,
    material: Material,
    /// Whether it signs only tokens of contexts.
    is_service: bool,
}

enum Material {
    Ed25519(Vec<u8>),
    P256(Vec<u8>),
    Rsa { n: Vec<u8>, e: Vec<u8> },
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<serde_json::Value>,
}

/// The supported members of a JSON Web Key (RFC 7517).
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
}

impl KeySet {
    /// Parses a JSON Web Key Set, skipping keys of unsupported types, and adds the service key.
    pub(crate) fn read(source: String, service: Option<&SigningKey>) -> Result<Self, String> {
        let document: Document = serde_json::from_str(&source).map_err(|error| format!("not a key set: {error}"))?;
        if document.keys.len() > MAX_KEYS {
            return Err(format!("more than {MAX_KEYS} keys"));
        }
        let mut keys: Vec<_> = document.keys.into_iter().filter_map(read_key).collect();
        if keys.is_empty() {
            return Err("no key for EdDSA, ES256 or RS256".to_owned());
        }
        keys.extend(service.map(service_key));
        Ok(Self { source, keys, verified: Mutex::default() })
    }

    /// A set with only the service key, before the source was read.
    pub(crate) fn unread(service: Option<&SigningKey>) -> Self {
        Self { source: String::new(), keys: service.map(service_key).into_iter().collect(), verified: Mutex::default() }
    }

    pub(crate) fn is_unread(&self) -> bool {
        self.source.is_empty()
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.source == other.source
    }

    /// Verifies the signature of a token; returns whether its key signs only tokens of contexts.
    pub(crate) fn verify(
        &self,
        id: Option<&str>,
        algorithm: &str,
        signed: &[u8],
        signature: &[u8],
    ) -> Result<bool, TokenError> {
        let named = |key: &&Key| key.id.as_deref() == id;
        let key = match id {
            Some(_) => self.keys.iter().find(named).ok_or(TokenError::UnknownKey)?,
            // A token need not name its key if there is only one.
            None if self.keys.len() == 1 => &self.keys[0],
            None => return Err(TokenError::Invalid("it names no key")),
        };
        if key.material.algorithm() != algorithm {
            return Err(TokenError::Invalid("its algorithm differs from its key's"));
        }
        key.material.verify(signed, signature).map_err(|_| TokenError::Invalid("its signature is invalid"))?;
        Ok(key.is_service)
    }

    /// The principal of a cached token that has not expired.
    pub(crate) fn cached(&self, token: &str, now: u64) -> Option<Arc<Principal>> {
        let verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        verified.get(&hash(token)).filter(|found| now < found.expires).map(|found| found.principal.clone())
    }

    /// Caches a verified token, by its hash, until it expires.
    pub(crate) fn cache(&self, token: &str, found: Verified, now: u64) {
        let mut verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        if verified.len() >= MAX_CACHED_TOKENS {
            verified.retain(|_, cached| now < cached.expires);
        }
        if verified.len() >= MAX_CACHED_TOKENS {
            verified.clear();
        }
        verified.insert(hash(token), found);
    }
}

fn hash(token: &str) -> [u8; SHA256_OUTPUT_LEN] {
    let mut hash = [0; SHA256_OUTPUT_LEN];
    hash.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    hash
}

fn service_key(key: &SigningKey) -> Key {
    let material = Material::Ed25519(key.public().to_vec());
    Key { id: Some(key.id().to_owned()), material, is_service: true }
}

fn read_key(value: serde_json::Value) -> Option<Key> {
    let jwk: Jwk = serde_json::from_value(value).ok()?;
    let material = jwk.material()?;
    let fits = jwk.alg.as_deref().is_none_or(|algorithm| algorithm == material.algorithm());
    let signs = jwk.purpose.as_deref().is_none_or(|purpose| purpose == "sig");
    (fits && signs).then_some(Key { id: jwk.kid, material, is_service: false })
}

impl Jwk {
    fn material(&self) -> Option<Material> {
        let bytes = |text: &Option<String>| BASE64_URL.decode(text.as_ref()?).ok();
        match (self.kty.as_str(), self.crv.as_deref()) {
            ("OKP", Some("Ed25519")) => Some(Material::Ed25519(bytes(&self.x)?)),
            // An uncompressed point (SEC 1).
            ("EC", Some("P-256")) => Some(Material::P256([vec![4], bytes(&self.x)?, bytes(&self.y)?].concat())),
            ("RSA", _) => Some(Material::Rsa { n: bytes(&self.n)?, e: bytes(&self.e)? }),
            _ => None,
        }
    }
}

impl Material {
    fn algorithm(&self) -> &'static str {
        match self {
            Self::Ed25519(_) => "EdDSA",
            Self::P256(_) => "ES256",
            Self::Rsa { .. } => "RS256",
        }
    }

    fn verify(&self, signed: &[u8], signature: &[u8]) -> Result<(), ring::error::Unspecified> {
        match self {
            Self::Ed25519(key) => UnparsedPublicKey::new(&ED25519, key).verify(signed, signature),
            Self::P256(key) => UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key).verify(signed, signature),
            Self::Rsa { n, e } => {
                RsaPublicKeyComponents { n, e }.verify(&RSA_PKCS1_2048_8192_SHA256, signed, signature)
            }
        }
    }
}
