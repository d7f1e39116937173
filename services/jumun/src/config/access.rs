//! Settings of authentication.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use auth::{Authentication, AuthenticationSettings, KeySource, SigningKey};
use clap::{Args, ValueEnum};
use net::tls::Trust;

use super::{
    line::{Line, shown},
    token::{DEVELOPMENT_FOLDER, Names, development_key, jwks_file},
};

/// Which callers are accepted.
#[derive(Args, Clone, Debug)]
pub(crate) struct AccessSettings {
    /// Whether calls need a token [default: required, unless the listener is on a loopback address and no keys are set]
    #[arg(long, env = "JUMUN_AUTH", value_enum, value_name = "MODE")]
    pub(crate) auth: Option<AuthMode>,

    #[command(flatten)]
    pub(crate) names: Names,

    /// JSON Web Key Set that tokens are verified with: a file or an http(s) URL
    #[arg(long, env = "JUMUN_AUTH_JWKS", value_name = "FILE|URL")]
    pub(crate) auth_jwks: Option<KeySource>,

    /// Accept tokens of `jumun token` even if the listener is not on a loopback address
    #[arg(long, env = "JUMUN_AUTH_DEVELOPMENT_KEY", value_name = "BOOL")]
    #[arg(default_value_t = false, default_missing_value = "true", num_args = 0..=1, action = clap::ArgAction::Set)]
    pub(crate) auth_development_key: bool,

    /// Ed25519 key (PKCS#8 in PEM) that authenticates calls between processes; the same in every process
    #[arg(long, env = "JUMUN_SERVICE_KEY_FILE", value_name = "FILE")]
    pub(crate) service_key_file: Option<PathBuf>,
}

/// Whether calls need a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum AuthMode {
    /// Accept every call
    Off,
    /// Require the roles that the proto of each method declares
    Required,
}

/// The authentication that the settings result in.
#[derive(Clone, Debug)]
pub(crate) enum AccessPlan {
    /// Every call is accepted.
    Off,
    /// Tokens of an issuer are accepted.
    Issuer { issuer: String, audience: String, keys: KeySource, service_key_file: Option<PathBuf> },
    /// Tokens of `jumun token`, signed with the key in this folder, are accepted.
    Development { names: Names, folder: PathBuf, service_key_file: Option<PathBuf> },
}

impl AccessSettings {
    /// Resolves the settings; the error names the setting that is missing.
    pub(crate) fn plan(&self, listen: SocketAddr, data_dir: &Path) -> anyhow::Result<AccessPlan> {
        let is_private = listen.ip().is_loopback();
        let is_set = self.auth_jwks.is_some() || self.auth_development_key;
        let mode = match self.auth {
            Some(mode) => mode,
            None if is_set => AuthMode::Required,
            None if is_private => AuthMode::Off,
            None => anyhow::bail!(
                "{listen} is not a loopback address: set JUMUN_AUTH_JWKS, JUMUN_AUTH_ISSUER and JUMUN_AUTH_AUDIENCE to \
                 require tokens, or JUMUN_AUTH=off to accept every call"
            ),
        };
        let service_key_file = self.service_key_file.clone();
        match (mode, &self.auth_jwks) {
            (AuthMode::Off, _) => Ok(AccessPlan::Off),
            (AuthMode::Required, Some(keys)) => {
                let named = |name: &Option<String>, variable: &str| {
                    name.clone().with_context(|| format!("JUMUN_AUTH_JWKS is set, but {variable} is not"))
                };
                let issuer = named(&self.names.auth_issuer, "JUMUN_AUTH_ISSUER")?;
                let audience = named(&self.names.auth_audience, "JUMUN_AUTH_AUDIENCE")?;
                Ok(AccessPlan::Issuer { issuer, audience, keys: keys.clone(), service_key_file })
            }
            (AuthMode::Required, None) if is_private || self.auth_development_key => {
                let (names, folder) = (self.names.clone(), data_dir.join(DEVELOPMENT_FOLDER));
                Ok(AccessPlan::Development { names, folder, service_key_file })
            }
            (AuthMode::Required, None) => anyhow::bail!(
                "tokens are required on {listen}, but no keys are set: set JUMUN_AUTH_JWKS, JUMUN_AUTH_ISSUER and \
                 JUMUN_AUTH_AUDIENCE, or JUMUN_AUTH_DEVELOPMENT_KEY=true to accept tokens of `jumun token`"
            ),
        }
    }
}

impl AccessSettings {
    pub(super) fn print(&self, line: &mut Line<'_>) {
        let mode = self.auth.map(|mode| format!("{mode:?}").to_lowercase());
        line("JUMUN_AUTH", &mode.unwrap_or_default());
        line("JUMUN_AUTH_ISSUER", &self.names.auth_issuer.as_deref().unwrap_or_default());
        line("JUMUN_AUTH_AUDIENCE", &self.names.auth_audience.as_deref().unwrap_or_default());
        line("JUMUN_AUTH_JWKS", &self.auth_jwks.as_ref().map(ToString::to_string).unwrap_or_default());
        line("JUMUN_AUTH_DEVELOPMENT_KEY", &self.auth_development_key);
        line("JUMUN_SERVICE_KEY_FILE", &shown(self.service_key_file.as_ref()));
    }
}

impl AccessPlan {
    /// Returns an error if calls to other processes need a service key and none is set.
    pub(crate) fn check_service_key(&self, is_needed: bool) -> anyhow::Result<()> {
        let is_missing = is_needed && matches!(self, Self::Issuer { service_key_file: None, .. });
        anyhow::ensure!(
            !is_missing,
            "calls to contexts in other processes must be authenticated: set JUMUN_SERVICE_KEY_FILE to the same key in \
             every process"
        );
        Ok(())
    }

    /// Reads the keys and returns the authentication.
    pub(crate) async fn authentication(self, trust: Trust) -> anyhow::Result<Authentication> {
        let (issuer, audience, keys, service_key) = match self {
            Self::Off => {
                tracing::warn!("authorization is off: every call is accepted (JUMUN_AUTH)");
                return Ok(Authentication::default());
            }
            Self::Issuer { issuer, audience, keys, service_key_file } => {
                let service_key = service_key_file.as_deref().map(SigningKey::open).transpose()?;
                tracing::info!(issuer, audience, %keys, "authorization by tokens");
                (issuer, audience, keys, service_key)
            }
            Self::Development { names, folder, service_key_file } => {
                let key = development_key(&folder)?;
                tracing::warn!(folder = %folder.display(), "authorization by tokens of `jumun token`: development only");
                let service_key = service_key_file.as_deref().map(SigningKey::open).transpose()?.unwrap_or(key);
                (names.issuer(), names.audience(), KeySource::File(jwks_file(&folder)), Some(service_key))
            }
        };
        Authentication::required(AuthenticationSettings {
            issuer,
            audience,
            keys,
            trust,
            service_key,
            roles: contracts::role::ROLES,
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Settings {
        #[command(flatten)]
        access: AccessSettings,
    }

    fn plan(listen: &str, arguments: &[&str]) -> Result<AccessPlan, String> {
        let arguments = ["jumun"].iter().chain(arguments);
        let settings = Settings::try_parse_from(arguments).expect("known arguments");
        let listen = listen.parse().expect("an address");
        settings.access.plan(listen, Path::new("data")).map_err(|error| error.to_string())
    }

    #[test]
    fn authorization_is_off_by_default_only_where_nobody_else_can_call() {
        for private in ["127.0.0.1:1", "[::1]:1"] {
            assert!(matches!(plan(private, &[]), Ok(AccessPlan::Off)));
            assert!(matches!(plan(private, &["--auth=required"]), Ok(AccessPlan::Development { .. })));
        }
        for open in ["0.0.0.0:1", "[::]:1", "192.0.2.1:1"] {
            for (arguments, words) in
                [(&[][..], "JUMUN_AUTH=off"), (&["--auth=required"], "JUMUN_AUTH_DEVELOPMENT_KEY")]
            {
                let error = plan(open, arguments).expect_err("a choice is to be made");
                assert!(error.contains(words) && error.contains("JUMUN_AUTH_JWKS"), "{error}");
            }
            assert!(matches!(plan(open, &["--auth=off"]), Ok(AccessPlan::Off)));
            assert!(matches!(plan(open, &["--auth-development-key"]), Ok(AccessPlan::Development { .. })));
        }
    }

    #[test]
    fn an_issuers_keys_need_its_name_and_ours() {
        let keys = "--auth-jwks=https://issuer.example/keys";
        assert!(plan("127.0.0.1:1", &[keys]).expect_err("no issuer").contains("JUMUN_AUTH_ISSUER"));
        let error = plan("127.0.0.1:1", &[keys, "--auth-issuer=issuer"]).expect_err("no audience");
        assert!(error.contains("JUMUN_AUTH_AUDIENCE"), "{error}");
        let complete = plan("0.0.0.0:1", &[keys, "--auth-issuer=issuer", "--auth-audience=jumun"]);
        assert!(matches!(complete, Ok(AccessPlan::Issuer { .. })));
    }
}
