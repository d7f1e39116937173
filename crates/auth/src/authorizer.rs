//! Who is let in: once per call, by the method's declaration and the caller's token.

use std::{
    fmt,
    sync::{Arc, LazyLock},
};

use http::{HeaderMap, header::AUTHORIZATION};

use jumun_core::{Caller, Error, Principal, RoleTable, Roles, reasons};
use net::tls::Trust;

use crate::{
    access::{Access, AccessTable},
    keys::Fault,
    mint::{ServiceToken, SigningKey},
    source::{KeyRing, KeySource},
    token::{Expected, unix_now},
};

/// Which tokens are taken.
#[derive(Clone, Debug)]
pub struct AuthenticationSettings {
    /// The `iss` that they must have.
    pub issuer: String,
    /// What their `aud` must have among others.
    pub audience: String,
    /// The keys that they are signed with.
    pub keys: KeySource,
    /// Whom to trust when the keys are fetched over TLS.
    pub trust: Trust,
    /// The key by which contexts of different processes know each other.
    pub service_key: Option<SigningKey>,
    /// The roles that tokens name.
    pub roles: RoleTable,
}

/// How callers are authenticated. The default authenticates nobody and lets every call through.
#[derive(Clone, Default)]
pub struct Authentication(Option<Arc<Tokens>>);

struct Tokens {
    expected: Expected,
    keys: Arc<KeyRing>,
    service_key: Option<SigningKey>,
}

impl Authentication {
    /// Takes tokens by these settings. An error tells which setting is wrong.
    pub async fn required(settings: AuthenticationSettings) -> anyhow::Result<Self> {
        let AuthenticationSettings { issuer, audience, keys, trust, service_key, roles } = settings;
        let keys = KeyRing::open(keys, trust, service_key.clone()).await?;
        Ok(Self(Some(Arc::new(Tokens { expected: Expected { issuer, audience, roles }, keys, service_key }))))
    }

    /// How a context of this process shows others who it is; None where nobody asks, or there is no key for it.
    pub fn service_token(&self, context: &str) -> Option<ServiceToken> {
        let tokens = self.0.as_ref()?;
        let (key, expected) = (tokens.service_key.clone()?, tokens.expected.clone());
        Some(ServiceToken::new(key, expected.issuer, expected.audience, format!("services/{context}"), expected.roles))
    }

    /// The authorizer of the methods in this table.
    pub fn authorizer(&self, table: AccessTable) -> Authorizer {
        Authorizer(self.0.clone().map(|tokens| Arc::new(Checks { tokens, table })))
    }
}

impl fmt::Debug for Authentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Authentication(tokens)" } else { "Authentication(off)" })
    }
}

/// Decides for each call who is calling, and whether it may. Where authentication is off, everything is allowed.
#[derive(Clone)]
pub struct Authorizer(Option<Arc<Checks>>);

struct Checks {
    tokens: Arc<Tokens>,
    table: AccessTable,
}

impl Authorizer {
    /// Who is calling, where that is known without waiting for anything and the call is allowed.
    pub fn recognize(&self, path: &str, headers: &HeaderMap, known: Option<&Caller>) -> Option<Caller> {
        match &self.0 {
            Some(checks) => checks.recognize(path, headers, known),
            None => Some(Caller::default()),
        }
    }

    /// Who is calling, if it may. A call from within the process brings its caller along.
    pub async fn authorize(&self, path: &str, headers: &HeaderMap, known: Option<&Caller>) -> Result<Caller, Error> {
        match &self.0 {
            Some(checks) => checks.authorize(path, headers, known).await.inspect_err(|error| {
                tracing::debug!(path, reason = error.reason, "call refused");
            }),
            None => Ok(Caller::default()),
        }
    }
}

impl Checks {
    fn recognize(&self, path: &str, headers: &HeaderMap, known: Option<&Caller>) -> Option<Caller> {
        let access = self.table.of_path(path)?;
        if access == Access::Public {
            return Some(nobody());
        }
        let caller = match known {
            Some(caller) => caller.clone(),
            None => Caller::new(self.tokens.keys.present().recall(bearer(headers).ok()?, unix_now())?),
        };
        access.allows(&caller).then_some(caller)
    }

    async fn authorize(&self, path: &str, headers: &HeaderMap, known: Option<&Caller>) -> Result<Caller, Error> {
        let access = self.table.of_path(path).ok_or_else(|| Error::unimplemented(path))?;
        if access == Access::Public {
            return Ok(nobody());
        }
        let caller = match known {
            Some(caller) => caller.clone(),
            None => Caller::new(self.tokens.principal(headers).await?),
        };
        if access.allows(&caller) { Ok(caller) } else { Err(Error::role_missing(path)) }
    }
}

impl Access {
    fn allows(self, caller: &Caller) -> bool {
        match self {
            Self::Public | Self::Authenticated => true,
            Self::Only(roles) => caller.principal().is_some_and(|principal| principal.roles.intersects(roles)),
        }
    }
}

/// Somebody who has no name and owns nothing.
fn nobody() -> Caller {
    static NOBODY: LazyLock<Arc<Principal>> = LazyLock::new(|| {
        Arc::new(Principal { subject: String::new(), roles: Roles::default(), is_unrestricted: false })
    });
    Caller::new(NOBODY.clone())
}

impl Tokens {
    async fn principal(&self, headers: &HeaderMap) -> Result<Arc<Principal>, Error> {
        let token = bearer(headers)?;
        match self.verify(token) {
            Err(Fault::UnknownKey) => {
                self.keys.refresh().await;
                if self.keys.present().is_unread() {
                    let message = "the keys of tokens cannot be read at present";
                    return Err(Error::new(&reasons::TOKEN_KEYS_UNAVAILABLE, message));
                }
                Ok(self.verify(token)?)
            }
            verified => Ok(verified?),
        }
    }

    fn verify(&self, token: &str) -> Result<Arc<Principal>, Fault> {
        let (keys, now) = (self.keys.present(), unix_now());
        if let Some(principal) = keys.recall(token, now) {
            return Ok(principal);
        }
        let verified = self.expected.verify(token, &keys, now)?;
        let principal = verified.principal.clone();
        keys.remember(token, verified, now);
        Ok(principal)
    }
}

/// The one token that a request shows (RFC 6750).
fn bearer(headers: &HeaderMap) -> Result<&str, Error> {
    let mut shown = headers.get_all(AUTHORIZATION).iter();
    let missing = || Error::new(&reasons::TOKEN_MISSING, "show a token: `authorization: Bearer …`");
    let value = shown.next().ok_or_else(missing)?;
    let scheme = |text: &str| text.eq_ignore_ascii_case("bearer");
    let token = value.to_str().ok().and_then(|text| text.split_once(' ')).filter(|(word, _)| scheme(word));
    match (token, shown.next()) {
        (Some((_, token)), None) if !token.is_empty() => Ok(token.trim_start()),
        (_, None) => Err(missing()),
        (_, Some(_)) => Err(Fault::Invalid("there is more than one").into()),
    }
}
