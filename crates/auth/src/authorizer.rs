//! Authentication and authorization of calls, by the access of the method and the token of the caller.

use std::{
    fmt,
    sync::{Arc, LazyLock},
};

use http::{HeaderMap, header::AUTHORIZATION};

use jumun_core::{Caller, Error, Principal, RoleTable, Roles, reasons};
use net::tls::ClientTls;

use crate::{
    access::{Access, AccessTable},
    keys::TokenError,
    mint::{ServiceToken, SigningKey},
    source::{KeyRing, KeySource},
    token::{Expected, unix_now},
};

/// Which tokens are accepted.
#[derive(Clone, Debug)]
pub struct AuthenticationSettings {
    /// The required `iss`.
    pub issuer: String,
    /// The required member of `aud`.
    pub audience: String,
    /// Where the keys are that verify tokens.
    pub keys: KeySource,
    /// TLS settings for fetching the keys.
    pub trust: ClientTls,
    /// The key that signs and verifies tokens between contexts in different processes.
    pub service_key: Option<SigningKey>,
    /// The roles that tokens can have.
    pub roles: RoleTable,
}

/// Authenticates callers. The default is off: every call is allowed.
#[derive(Clone, Default)]
pub struct Authentication(Option<Arc<TokenVerifier>>);

struct TokenVerifier {
    expected: Expected,
    keys: Arc<KeyRing>,
    service_key: Option<SigningKey>,
}

impl Authentication {
    /// Requires tokens that comply with these settings; fails if a setting is wrong.
    pub async fn required(settings: AuthenticationSettings) -> anyhow::Result<Self> {
        let AuthenticationSettings { issuer, audience, keys, trust, service_key, roles } = settings;
        let keys = KeyRing::open(keys, trust, service_key.clone()).await?;
        Ok(Self(Some(Arc::new(TokenVerifier { expected: Expected { issuer, audience, roles }, keys, service_key }))))
    }

    /// The token of a context for calls to other processes; None if authentication is off or there is no service key.
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

/// Authenticates the caller of each call, and checks the access of the method. If authentication is off, every call is
/// allowed.
#[derive(Clone)]
pub struct Authorizer(Option<Arc<Checks>>);

struct Checks {
    tokens: Arc<TokenVerifier>,
    table: AccessTable,
}

impl Authorizer {
    /// The caller, if the call can be authorized without waiting, by a cached token; None if not, or if it is not
    /// allowed.
    pub fn recognize(&self, path: &str, headers: &HeaderMap, known: Option<&Caller>) -> Option<Caller> {
        match &self.0 {
            Some(checks) => checks.recognize(path, headers, known),
            None => Some(Caller::default()),
        }
    }

    /// The caller, if it may call the method. A call from within the process has a `known` caller and needs no token.
    pub async fn authorize(&self, path: &str, headers: &HeaderMap, known: Option<&Caller>) -> Result<Caller, Error> {
        match &self.0 {
            Some(checks) => checks.authorize(path, headers, known).await.inspect_err(|error| {
                tracing::debug!(path, reason = error.reason, "call rejected");
            }),
            None => Ok(Caller::default()),
        }
    }
}

impl Checks {
    fn recognize(&self, path: &str, headers: &HeaderMap, known: Option<&Caller>) -> Option<Caller> {
        let access = self.table.of_path(path)?;
        if access == Access::Public {
            return Some(anonymous());
        }
        let caller = match known {
            Some(caller) => caller.clone(),
            None => Caller::new(self.tokens.keys.current().cached(bearer(headers).ok()?, unix_now())?),
        };
        access.allows(&caller).then_some(caller)
    }

    async fn authorize(&self, path: &str, headers: &HeaderMap, known: Option<&Caller>) -> Result<Caller, Error> {
        let access = self.table.of_path(path).ok_or_else(|| Error::unimplemented(path))?;
        if access == Access::Public {
            return Ok(anonymous());
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

/// The caller of a public method: without a subject or roles.
fn anonymous() -> Caller {
    static ANONYMOUS: LazyLock<Arc<Principal>> = LazyLock::new(|| {
        Arc::new(Principal { subject: String::new(), roles: Roles::default(), is_unrestricted: false })
    });
    Caller::new(ANONYMOUS.clone())
}

impl TokenVerifier {
    async fn principal(&self, headers: &HeaderMap) -> Result<Arc<Principal>, Error> {
        let token = bearer(headers)?;
        match self.verify(token) {
            Err(TokenError::UnknownKey) => {
                self.keys.refresh().await;
                if self.keys.current().is_unread() {
                    let message = "the keys that verify tokens have not been loaded yet";
                    return Err(Error::new(&reasons::TOKEN_KEYS_UNAVAILABLE, message));
                }
                Ok(self.verify(token)?)
            }
            verified => Ok(verified?),
        }
    }

    fn verify(&self, token: &str) -> Result<Arc<Principal>, TokenError> {
        let (keys, now) = (self.keys.current(), unix_now());
        if let Some(principal) = keys.cached(token, now) {
            return Ok(principal);
        }
        let verified = self.expected.verify(token, &keys, now)?;
        let principal = verified.principal.clone();
        keys.cache(token, verified, now);
        Ok(principal)
    }
}

/// The bearer token of a request (RFC 6750), which must have exactly one.
fn bearer(headers: &HeaderMap) -> Result<&str, Error> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let missing = || Error::new(&reasons::TOKEN_MISSING, "the request has no token: send `authorization: Bearer …`");
    let value = values.next().ok_or_else(missing)?;
    let scheme = |text: &str| text.eq_ignore_ascii_case("bearer");
    let token = value.to_str().ok().and_then(|text| text.split_once(' ')).filter(|(name, _)| scheme(name));
    match (token, values.next()) {
        (Some((_, token)), None) if !token.is_empty() => Ok(token.trim_start()),
        (_, None) => Err(missing()),
        (_, Some(_)) => Err(TokenError::Invalid("there is more than one").into()),
    }
}
