//! Verification of bearer tokens: JSON Web Tokens in the compact serialization of JWS (RFC 7515, 7519; BCP 225).

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64_URL};
use serde::{Deserialize, de::DeserializeOwned};

use jumun_core::{RoleTable, Roles, time::system_now};

use crate::keys::{KeySet, TokenError, Verified};

/// Maximum length of a token, and of its subject, in bytes.
const MAX_TOKEN_LENGTH: usize = 8 * 1024;
const MAX_SUBJECT_LENGTH: usize = 256;
/// Maximum clock difference between the issuer and the platform.
pub const LEEWAY: Duration = Duration::from_secs(30);

/// The required issuer and audience of tokens, and the known roles.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    pub(crate) issuer: String,
    pub(crate) audience: String,
    pub(crate) roles: RoleTable,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    /// Extensions that the recipient must understand (RFC 7515); none is supported.
    crit: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: Audience,
    sub: String,
    exp: f64,
    nbf: f64,
    #[serde(default)]
    roles: Vec<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Audience {
    fn contains(&self, audience: &str) -> bool {
        match self {
            Self::One(one) => one == audience,
            Self::Many(many) => many.iter().any(|one| one == audience),
        }
    }
}

impl Expected {
    /// Verifies the signature of a token, and then its claims.
    pub(crate) fn verify(&self, token: &str, keys: &KeySet, now: u64) -> Result<Verified, TokenError> {
        let malformed = TokenError::Invalid("it is not a JSON Web Token");
        if token.len() > MAX_TOKEN_LENGTH {
            return Err(TokenError::Invalid("it is too long"));
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(malformed)?;
        let signature = BASE64_URL.decode(signature).map_err(|_| malformed)?;
        let header: Header = decode(header).ok_or(malformed)?;
        if header.crit.is_some() {
            return Err(TokenError::Invalid("it has a critical extension"));
        }
        let is_service = keys.verify(header.kid.as_deref(), &header.alg, signed.as_bytes(), &signature)?;
        let claims: Claims = decode(claims)
            .ok_or(TokenError::Invalid("it lacks one of exp, nbf, iss, aud and sub, or one is malformed"))?;
        self.check_claims(claims, is_service, now)
    }

    fn check_claims(&self, claims: Claims, is_service: bool, now: u64) -> Result<Verified, TokenError> {
        if claims.iss != self.issuer {
            return Err(TokenError::Invalid("it is from another issuer"));
        }
        if !claims.aud.contains(&self.audience) {
            return Err(TokenError::Invalid("it is for another audience"));
        }
        let (not_before, expires) = (seconds(claims.nbf)?, seconds(claims.exp)?.saturating_add(LEEWAY.as_secs()));
        if now.saturating_add(LEEWAY.as_secs()) < not_before {
            return Err(TokenError::Invalid("it is not valid yet"));
        }
        if now >= expires {
            return Err(TokenError::Expired);
        }
        if claims.sub.is_empty() || claims.sub.len() > MAX_SUBJECT_LENGTH {
            return Err(TokenError::Invalid("its subject is empty or too long"));
        }
        // Unknown roles belong to other applications.
        let roles = claims.roles.iter().filter_map(|claim| self.roles.parse(claim).ok());
        let roles: Roles = roles.filter(|role| !is_service || *role == self.roles.service).collect();
        Ok(Verified { principal: Arc::new(self.roles.principal(claims.sub, roles)), expires })
    }
}

fn decode<T: DeserializeOwned>(part: &str) -> Option<T> {
    serde_json::from_slice(&BASE64_URL.decode(part).ok()?).ok()
}

/// A NumericDate, which may have a fraction.
fn seconds(date: f64) -> Result<u64, TokenError> {
    /// The year 9999.
    const LAST: f64 = 253_402_300_800.0;
    if (0.0..LAST).contains(&date) { Ok(date as u64) } else { Err(TokenError::Invalid("it has an invalid date")) }
}

/// Seconds since the Unix epoch.
pub(crate) fn unix_now() -> u64 {
    u64::try_from(system_now().0 / 1_000_000).unwrap_or_default()
}
