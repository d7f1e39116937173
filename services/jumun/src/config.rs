//! Configuration: each setting is an environment variable and a flag with a default, and has its unit in the name.

mod access;
mod contexts_own;
mod line;
mod tls;
mod token;

use std::{
    collections::BTreeMap,
    fmt::{Display, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Arg, ArgMatches, Args, Command, ValueEnum};
use engine::storage::DatabaseUrl;
use eventing::JetStreamSettings;
use jumun_core::url::without_password;
use jumun_core::{DEFAULT_SERVICE_VERSION, ServiceVersion};
use runtime::{DEFAULT_PROVIDER_CALLS, Settings, Topology, telemetry::LogFormat};
use transcode::Origins;

use crate::contexts;
pub(crate) use access::AccessPlan;
use access::AccessSettings;
pub(crate) use contexts_own::{context_settings, with_context_settings};
use tls::TlsArgs;
pub(crate) use token::{Target, TokenArgs, issue};

/// Settings of every command that opens databases.
#[derive(Args, Clone, Debug)]
pub(crate) struct StorageSettings {
    /// Folder of the SQLite files of contexts without a database URL
    #[arg(long, env = "JUMUN_DATA_DIR", default_value = "./data", value_name = "FOLDER")]
    pub(crate) data_dir: PathBuf,

    /// Database of all contexts without a database URL of their own: postgres://USER@HOST/DATABASE (one schema per
    /// context) or sqlite://FOLDER/ (one file per context)
    #[arg(long, env = "JUMUN_DATABASE_URL", hide_env_values = true, value_name = "URL")]
    pub(crate) database_url: Option<String>,
}

/// Settings of a serving process.
#[derive(Args, Clone, Debug)]
pub(crate) struct ServeSettings {
    /// Address to listen on for gRPC, gRPC-web and HTTP/JSON
    #[arg(long, env = "JUMUN_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    pub(crate) listen: SocketAddr,

    /// Allowed CORS origins, separated by commas, e.g. https://shop.example, or * for every origin [default: none]
    #[arg(long, env = "JUMUN_CORS_ORIGINS", default_value = "", hide_default_value = true, value_name = "ORIGINS")]
    pub(crate) cors_origins: Origins,

    #[command(flatten)]
    pub(crate) storage: StorageSettings,

    #[command(flatten)]
    pub(crate) access: AccessSettings,

    #[command(flatten)]
    pub(crate) tls: TlsArgs,

    /// NATS servers (nats:// or tls://), separated by commas [default: the embedded bus, for a single process]
    #[arg(long, env = "JUMUN_NATS_URL", hide_env_values = true, value_name = "URL")]
    pub(crate) nats_url: Option<String>,

    /// Prefix of every NATS subject and stream
    #[arg(long, env = "JUMUN_NATS_PREFIX", default_value = "jumun", value_name = "PREFIX")]
    pub(crate) nats_prefix: String,

    /// Number of replicas of each NATS stream
    #[arg(long, env = "JUMUN_NATS_REPLICAS", default_value_t = 1, value_name = "COUNT")]
    pub(crate) nats_replicas: usize,

    /// How long NATS keeps events; 0 means forever. The databases keep them in any case
    #[arg(long, env = "JUMUN_NATS_MAX_AGE_HOURS", default_value_t = 168, value_name = "HOURS")]
    pub(crate) nats_max_age_hours: u64,

    /// Whether to migrate the databases at the start
    #[arg(long, env = "JUMUN_MIGRATE", default_value_t = true, action = clap::ArgAction::Set, value_name = "BOOL")]
    pub(crate) migrate: bool,

    /// Whether to serve gRPC reflection
    #[arg(long, env = "JUMUN_REFLECTION", value_enum, default_value_t = Switch::On, value_name = "SWITCH")]
    pub(crate) reflection: Switch,

    /// Whether to limit concurrency, break circuits and budget retries; off only for experiments
    #[arg(long, env = "JUMUN_OVERLOAD_PROTECTION", value_enum, default_value_t = Switch::On, value_name = "SWITCH")]
    pub(crate) overload_protection: Switch,

    /// Maximum number of concurrent calls to each external provider, e.g. the payment provider
    #[arg(long, env = "JUMUN_PROVIDER_CALLS", default_value_t = DEFAULT_PROVIDER_CALLS, value_name = "COUNT")]
    #[arg(value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=100_000))]
    pub(crate) provider_calls: usize,

    /// Version label of this process, e.g. canary: a DNS label
    #[arg(long, env = "JUMUN_SERVICE_VERSION", default_value = DEFAULT_SERVICE_VERSION, value_name = "LABEL")]
    pub(crate) service_version: ServiceVersion,

    /// Purpose of the process; production rejects settings that are for development only
    #[arg(long, env = "JUMUN_PROFILE", value_enum, default_value_t = Profile::Development, value_name = "PROFILE")]
    pub(crate) profile: Profile,

    /// Allow operators to inject faults into calls (AdminService.SetFault), for drills; not in production
    #[arg(long, env = "JUMUN_DRILLS", value_name = "BOOL")]
    #[arg(default_value_t = false, default_missing_value = "true", num_args = 0..=1, action = clap::ArgAction::Set)]
    pub(crate) drills: bool,

    /// Format of the logs
    #[arg(long, env = "JUMUN_LOG_FORMAT", value_enum, default_value_t = LogStyle::Pretty, value_name = "FORMAT")]
    pub(crate) log_format: LogStyle,

    /// Print the configuration, with passwords masked, and exit
    #[arg(long)]
    pub(crate) print_config: bool,
}

/// Format of the logs.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum LogStyle {
    /// Human-readable
    Pretty,
    /// One JSON object per line
    Json,
}

/// Purpose of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Profile {
    /// Development and tests
    Development,
    /// Production
    Production,
}

/// Whether a feature is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Switch {
    /// Enabled
    On,
    /// Disabled
    Off,
}

impl From<LogStyle> for LogFormat {
    fn from(style: LogStyle) -> Self {
        match style {
            LogStyle::Pretty => Self::Pretty,
            LogStyle::Json => Self::Json,
        }
    }
}

impl ServeSettings {
    /// The settings of NATS; None for the embedded bus.
    pub(crate) fn jetstream(&self) -> Option<JetStreamSettings> {
        Some(JetStreamSettings {
            url: self.nats_url.clone()?,
            prefix: self.nats_prefix.clone(),
            replicas: self.nats_replicas,
            max_age: Duration::from_secs(self.nats_max_age_hours * 3600),
            trust: self.tls.trust(),
        })
    }

    /// Returns an error if a setting is not allowed in production.
    pub(crate) fn check_profile(&self) -> anyhow::Result<()> {
        anyhow::ensure!(
            !(self.drills && self.profile == Profile::Production),
            "JUMUN_DRILLS=true is not allowed with JUMUN_PROFILE=production: unset one of them"
        );
        Ok(())
    }

    /// How to serve.
    pub(crate) fn settings(&self) -> Settings {
        Settings {
            reflection: self.reflection == Switch::On,
            overload_protection: self.overload_protection == Switch::On,
            provider_calls: self.provider_calls,
            service_version: self.service_version.clone(),
            drills: self.drills,
        }
    }

    /// The configuration as KEY=value lines, passwords masked.
    pub(crate) fn print(&self, topology: &Topology) -> String {
        let mut text = String::new();
        let mut line = |key: &str, value: &dyn Display| {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{key}={value}");
        };
        line("JUMUN_LISTEN", &self.listen);
        line("JUMUN_CORS_ORIGINS", &self.cors_origins);
        line("JUMUN_DATA_DIR", &self.storage.data_dir.display());
        for (context, url) in &topology.databases {
            line(&format!("JUMUN_{}_DATABASE_URL", context.to_uppercase()), url);
        }
        for (context, address) in &topology.addresses {
            line(&format!("JUMUN_{}_ADDR", context.to_uppercase()), address);
        }
        contexts_own::print(&topology.settings, &mut line);
        self.access.print(&mut line);
        self.tls.print(&mut line);
        line("JUMUN_NATS_URL", &without_password(self.nats_url.as_deref().unwrap_or_default()));
        line("JUMUN_NATS_PREFIX", &self.nats_prefix);
        line("JUMUN_NATS_REPLICAS", &self.nats_replicas);
        line("JUMUN_NATS_MAX_AGE_HOURS", &self.nats_max_age_hours);
        line("JUMUN_MIGRATE", &self.migrate);
        line("JUMUN_REFLECTION", &format!("{:?}", self.reflection).to_lowercase());
        line("JUMUN_OVERLOAD_PROTECTION", &format!("{:?}", self.overload_protection).to_lowercase());
        line("JUMUN_PROVIDER_CALLS", &self.provider_calls);
        line("JUMUN_SERVICE_VERSION", &self.service_version);
        line("JUMUN_PROFILE", &format!("{:?}", self.profile).to_lowercase());
        line("JUMUN_DRILLS", &self.drills);
        line("JUMUN_LOG_FORMAT", &format!("{:?}", self.log_format).to_lowercase());
        text
    }
}

/// Adds `--CONTEXT-database-url` and `--CONTEXT-addr` for every context.
pub(crate) fn with_context_args(mut command: Command, databases: bool, addresses: bool) -> Command {
    for context in contexts::names() {
        let upper = context.to_uppercase();
        if databases {
            command = command.arg(
                context_arg(context, "database-url", format!("JUMUN_{upper}_DATABASE_URL"), "URL")
                    .help(format!("Database of {context}; overrides JUMUN_DATABASE_URL"))
                    .hide_env_values(true),
            );
        }
        if addresses {
            command = command.arg(context_arg(context, "addr", format!("JUMUN_{upper}_ADDR"), "URL").help(format!(
                "Address of {context} if it runs in another process: http://host:port or https://host:port"
            )));
        }
    }
    command
}

fn context_arg(context: &str, what: &str, variable: String, value: &'static str) -> Arg {
    let name = format!("{context}-{what}");
    Arg::new(name.clone()).long(name).env(variable).value_name(value).help_heading("Per context")
}

fn given<'a>(matches: &'a ArgMatches, context: &str, what: &str) -> Option<&'a String> {
    matches.get_one::<String>(&format!("{context}-{what}")).filter(|value| !value.is_empty())
}

/// The addresses that were set, by context.
pub(crate) fn addresses(matches: &ArgMatches) -> BTreeMap<String, String> {
    contexts::names()
        .into_iter()
        .filter_map(|context| Some((context.to_owned(), given(matches, context, "addr")?.clone())))
        .collect()
}

/// The database of each of these contexts.
pub(crate) fn databases(
    storage: &StorageSettings,
    matches: &ArgMatches,
    names: &[&str],
) -> anyhow::Result<BTreeMap<String, DatabaseUrl>> {
    let common = storage.database_url.as_ref().filter(|url| !url.is_empty());
    let mut databases = BTreeMap::new();
    for context in names {
        let own = given(matches, context, "database-url");
        let parse = |url: &str| {
            url.parse::<DatabaseUrl>().map_err(|error| anyhow::anyhow!("{}: {error}", without_password(url)))
        };
        let url = match (own, common) {
            (Some(url), _) => parse(url)?,
            (None, Some(url)) => shared(parse(url)?, context, names.len())?,
            (None, None) => DatabaseUrl::Sqlite(file(&storage.data_dir, context)),
        };
        databases.insert((*context).to_owned(), url);
    }
    Ok(databases)
}

/// The database of one context, from a URL that several contexts share.
fn shared(url: DatabaseUrl, context: &str, contexts: usize) -> anyhow::Result<DatabaseUrl> {
    match url {
        DatabaseUrl::Sqlite(path) if path.extension().is_none() => Ok(DatabaseUrl::Sqlite(file(&path, context))),
        DatabaseUrl::Sqlite(path) if contexts > 1 => anyhow::bail!(
            "JUMUN_DATABASE_URL is the file {}, but each context needs its own: set a folder, sqlite://FOLDER/",
            path.display()
        ),
        url => Ok(url),
    }
}

fn file(folder: &Path, context: &str) -> PathBuf {
    folder.join(format!("{context}.db"))
}
