//! Tokens of the development key, and the credentials of the commands.

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

/// The default issuer and audience of tokens of `jumun token`.
const DEVELOPMENT_ISSUER: &str = "jumun-development";
const DEVELOPMENT_AUDIENCE: &str = "jumun";
/// The folder of the development key, in the data folder.
pub(super) const DEVELOPMENT_FOLDER: &str = "auth";
/// Lifetime of the token that a command issues for itself.
const COMMAND_TOKEN_TTL: Duration = Duration::from_secs(3600);

/// The issuer and the audience of tokens.
#[derive(Args, Clone, Debug)]
pub(crate) struct Names {
    /// Issuer that tokens must have (`iss`)
    #[arg(long, env = "JUMUN_AUTH_ISSUER", value_name = "NAME")]
    pub(crate) auth_issuer: Option<String>,

    /// Audience that tokens must have (one of `aud`)
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

/// Opens the key in the folder, or creates it. Its public part is stored next to it.
pub(super) fn development_key(folder: &Path) -> anyhow::Result<SigningKey> {
    let file = key_file(folder);
    let key = if file.exists() {
        SigningKey::open(&file)?
    } else {
        // Another process may have created it in the meantime.
        SigningKey::create(&file).or_else(|error| if file.exists() { SigningKey::open(&file) } else { Err(error) })?
    };
    let (jwks, text) = (jwks_file(folder), key.jwks());
    if std::fs::read_to_string(&jwks).ok().as_deref() != Some(text.as_str()) {
        // Written to another file first, because another process may be reading it.
        let draft = folder.join(format!("{}.json", new_id()));
        let written = std::fs::write(&draft, text).and_then(|()| std::fs::rename(&draft, &jwks));
        written.with_context(|| format!("cannot write {}", jwks.display()))?;
    }
    Ok(key)
}

/// Arguments of `jumun token`.
#[derive(Args, Clone, Debug)]
pub(crate) struct TokenArgs {
    /// Role of the caller; may be repeated
    #[arg(long = "role", required = true, value_parser = role, value_name = "ROLE")]
    roles: Vec<Role>,

    /// Resource name of the caller, e.g. customers/mina
    #[arg(long, value_parser = subject, value_name = "NAME")]
    subject: String,

    /// Lifetime of the token: a number followed by s, m, h or d
    #[arg(long, default_value = "1h", value_parser = duration, value_name = "DURATION")]
    ttl: Duration,

    #[command(flatten)]
    names: Names,

    /// Data folder; the key is in its folder `auth`, and created if missing
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
    let wrong = || "must be a number followed by s, m, h or d, e.g. 90m".to_owned();
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

/// Issues a token that is signed with the development key.
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

/// The running instance that a command calls.
#[derive(Args, Clone, Debug)]
pub(crate) struct Target {
    /// Address of the running instance
    #[arg(long, env = "JUMUN_ADDR", default_value = "http://127.0.0.1:8080", value_name = "URL")]
    pub(crate) addr: String,

    #[command(flatten)]
    pub(crate) credentials: Credentials,
}

/// The credentials of a command that calls a running instance.
#[derive(Args, Clone, Debug)]
pub(crate) struct Credentials {
    /// Token to send [default: an operator's token, if the data folder has a development key]
    #[arg(long, env = "JUMUN_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    token: Option<String>,

    #[command(flatten)]
    names: Names,

    /// Data folder, with the development key in its folder `auth`
    #[arg(long, env = "JUMUN_DATA_DIR", default_value = "./data", value_name = "FOLDER")]
    data_dir: PathBuf,

    /// CA certificates (PEM) to verify an https:// address with [default: those of the system]
    #[arg(long, env = "JUMUN_TLS_CA_FILE", value_name = "FILE")]
    tls_ca_file: Option<PathBuf>,
}

impl Credentials {
    /// A connector that sends the token.
    pub(crate) fn connector(&self) -> anyhow::Result<Connector> {
        let token = match self.token.as_ref().filter(|token| !token.is_empty()) {
            Some(token) => Some(token.clone()),
            None => self.own_token()?,
        };
        Connector::new(token, self.tls_ca_file.clone())
    }

    /// The data folder.
    pub(crate) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// A connector that sends no token.
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
            // The key belongs to another user; the call may not need a token.
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
