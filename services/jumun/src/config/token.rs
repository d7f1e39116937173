//! Tokens of the development key, and how a command shows who it is.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use auth::{Claims, SigningKey};
use clap::Args;
use client::Connector;
use contracts::role::ROLES;
use jumun_core::{
    Role,
    name::{is_name, new_id},
};

/// Whom tokens of `jumun token` are from and for, where nothing else is set.
const DEVELOPMENT_ISSUER: &str = "jumun-development";
const DEVELOPMENT_AUDIENCE: &str = "jumun";
/// The folder of the development key, within that of the data.
pub(super) const DEVELOPMENT_FOLDER: &str = "auth";
/// How long a command of this program may show the token that it issued itself.
const COMMAND_TOKEN_TTL: Duration = Duration::from_secs(3600);

/// Whom tokens are from and for.
#[derive(Args, Clone, Debug)]
pub(crate) struct Names {
    /// Who must have issued the tokens: their `iss`
    #[arg(long, env = "JUMUN_AUTH_ISSUER", value_name = "NAME")]
    pub(crate) auth_issuer: Option<String>,

    /// Whom the tokens must be for: one of their `aud`
    #[arg(long, env = "JUMUN_AUTH_AUDIENCE", value_name = "NAME")]
    pub(crate) auth_audience: Option<String>,
}

impl Names {
    pub(super) fn issuer(&self) -> String {
        self.auth_issuer.clone().unwrap_or_else(|| DEVELOPMENT_ISSUER.to_owned())
    }

    pub(super) fn audience(&self) -> String {
        self.auth_audience.clone().unwrap_or_else(|| DEVELOPMENT_AUDIENCE.to_owned())
    }
}

fn key_file(folder: &Path) -> PathBuf {
    folder.join("development.pem")
}

pub(super) fn jwks_file(folder: &Path) -> PathBuf {
    folder.join("development.jwks.json")
}

/// The key in the folder, made when it is not there; its public part lies beside it.
pub(super) fn development_key(folder: &Path) -> anyhow::Result<SigningKey> {
    let file = key_file(folder);
    let key = if file.exists() {
        SigningKey::open(&file)?
    } else {
        // Another process may have been a moment faster.
        SigningKey::create(&file).or_else(|error| if file.exists() { SigningKey::open(&file) } else { Err(error) })?
    };
    let (jwks, text) = (jwks_file(folder), key.jwks());
    if std::fs::read_to_string(&jwks).ok().as_deref() != Some(text.as_str()) {
        // Another process may be reading it.
        let draft = folder.join(format!("{}.json", new_id()));
        let written = std::fs::write(&draft, text).and_then(|()| std::fs::rename(&draft, &jwks));
        written.with_context(|| format!("cannot write {}", jwks.display()))?;
    }
    Ok(key)
}

/// What `jumun token` is told.
#[derive(Args, Clone, Debug)]
pub(crate) struct TokenArgs {
    /// What the caller is to the platform; may be given several times
    #[arg(long = "role", required = true, value_parser = role, value_name = "ROLE")]
    roles: Vec<Role>,

    /// Who the caller is, e.g. customers/mina
    #[arg(long, value_parser = subject, value_name = "NAME")]
    subject: String,

    /// How long the token is valid: a number and s, m, h or d
    #[arg(long, default_value = "1h", value_parser = duration, value_name = "DURATION")]
    ttl: Duration,

    #[command(flatten)]
    names: Names,

    /// Folder of the data; the key is in its folder `auth`, and made when it is not there
    #[arg(long, env = "JUMUN_DATA_DIR", default_value = "./data", value_name = "FOLDER")]
    data_dir: PathBuf,
}

fn role(text: &str) -> Result<Role, String> {
    ROLES.parse(text)
}

fn subject(text: &str) -> Result<String, String> {
    if is_name(text) { Ok(text.to_owned()) } else { Err("must be a resource name, e.g. customers/mina".to_owned()) }
}

fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "must be a number and s, m, h or d, e.g. 90m".to_owned();
    let (digits, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    let seconds = digits.parse::<u32>().map_err(|_| wrong())?;
    Ok(Duration::from_secs(u64::from(seconds) * unit))
}

/// A token of the development key.
pub(crate) fn issue(args: &TokenArgs) -> anyhow::Result<String> {
    let key = development_key(&args.data_dir.join(DEVELOPMENT_FOLDER))?;
    Ok(key.sign(&Claims {
        issuer: &args.names.issuer(),
        audience: &args.names.audience(),
        subject: &args.subject,
        roles: &args.roles,
        table: &ROLES,
        ttl: args.ttl,
    }))
}

/// How a command reaches a running instance, and shows who it is.
#[derive(Args, Clone, Debug)]
pub(crate) struct Credentials {
    /// Token to show; not set: one for an operator, where the data folder has a development key
    #[arg(long, env = "JUMUN_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    token: Option<String>,

    #[command(flatten)]
    names: Names,

    /// Folder of the data, with the development key in its folder `auth`
    #[arg(long, env = "JUMUN_DATA_DIR", default_value = "./data", value_name = "FOLDER")]
    data_dir: PathBuf,

    /// Who must have signed the certificate of an https:// address; not set: whom the system trusts
    #[arg(long, env = "JUMUN_TLS_CA_FILE", value_name = "FILE")]
    tls_ca_file: Option<PathBuf>,
}

impl Credentials {
    /// Connects as these credentials say.
    pub(crate) fn connector(&self) -> anyhow::Result<Connector> {
        let token = match self.token.as_ref().filter(|token| !token.is_empty()) {
            Some(token) => Some(token.clone()),
            None => self.own_token()?,
        };
        Connector::new(token, self.tls_ca_file.clone())
    }

    /// Connects without a token.
    pub(crate) fn anonymous(&self) -> anyhow::Result<Connector> {
        Connector::new(None, self.tls_ca_file.clone())
    }

    fn own_token(&self) -> anyhow::Result<Option<String>> {
        let file = key_file(&self.data_dir.join(DEVELOPMENT_FOLDER));
        match SigningKey::open(&file) {
            Ok(key) => Ok(Some(key.sign(&Claims {
                issuer: &self.names.issuer(),
                audience: &self.names.audience(),
                subject: "operators/command-line",
                roles: &[contracts::role::OPERATOR],
                table: &ROLES,
                ttl: COMMAND_TOKEN_TTL,
            }))),
            Err(_) if matches!(file.try_exists(), Ok(false)) => Ok(None),
            // Somebody else's key is no reason to fail where no token may be needed.
            Err(error) if is_forbidden(&file) => {
                tracing::debug!(error = format!("{error:#}"), "no token of the development key");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

fn is_forbidden(file: &Path) -> bool {
    std::fs::File::open(file).is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_a_number_and_a_unit() {
        assert_eq!(duration("90m"), Ok(Duration::from_secs(5400)));
        for wrong in ["", "h", "1", "1w", "-1s", "1.5h", "시"] {
            assert!(duration(wrong).is_err(), "{wrong:?}");
        }
    }
}
