//! The command line.

use std::{io::Write, path::PathBuf, process::ExitCode};

use audit::CheckArgs;
use auth::SigningKey;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use loadgen::BenchArgs;
use scenarios::DemoArgs;

use crate::{
    config::{self, Credentials, ServeSettings, StorageSettings, TokenArgs},
    contexts, errors,
    health::{self, HealthArgs},
    serve,
};

/// Exit code of a configuration that cannot be served (sysexits.h: EX_USAGE).
const EX_USAGE: u8 = 64;

#[derive(Parser)]
#[command(name = "jumun", version = version(), about = "Order to payment: one binary, any set of contexts", max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Run every context in this process, on one port, with its data in one folder
    Up(ServeSettings),
    /// Run just these contexts
    Serve {
        /// Their names
        #[arg(required = true, value_name = "CONTEXT")]
        contexts: Vec<String>,
        #[command(flatten)]
        settings: ServeSettings,
    },
    /// Bring databases up to date, and end
    Migrate {
        /// Their contexts; all when none is named
        #[arg(value_name = "CONTEXT")]
        contexts: Vec<String>,
        #[command(flatten)]
        storage: StorageSettings,
    },
    /// Play a scenario against a running instance, and fail when a step does not hold
    Demo {
        #[command(flatten)]
        target: Target,
        #[command(flatten)]
        args: DemoArgs,
    },
    /// Put a running instance under load, and measure it against an empty method
    Bench {
        #[command(flatten)]
        target: Target,
        #[command(flatten)]
        args: BenchArgs,
    },
    /// Check the rules that must always hold, against the databases
    Check {
        #[command(flatten)]
        storage: StorageSettings,
        #[command(flatten)]
        args: CheckArgs,
    },
    /// Ask a running instance whether it serves, and fail when it does not
    Health {
        #[command(flatten)]
        target: Target,
        #[command(flatten)]
        args: HealthArgs,
    },
    /// Print every reason that an error can have, and what to do about it (Markdown)
    Errors,
    /// Issue a token for development, signed with a key in the data folder
    Token(TokenArgs),
    /// Print the public part of a signing key as a JSON Web Key Set
    Jwks {
        /// Ed25519 key (PKCS#8 in PEM), e.g. that of JUMUN_SERVICE_KEY_FILE
        #[arg(value_name = "FILE")]
        key: PathBuf,
    },
    /// Print a completion script
    Completions {
        /// For this shell
        shell: clap_complete::Shell,
    },
}

#[derive(Args)]
struct Target {
    /// The running instance
    #[arg(long, env = "JUMUN_ADDR", default_value = "http://127.0.0.1:8080", value_name = "URL")]
    addr: String,

    #[command(flatten)]
    credentials: Credentials,
}

/// The version, and the commit where the build was told it.
fn version() -> String {
    let version = env!("CARGO_PKG_VERSION");
    option_env!("JUMUN_COMMIT").map_or(version.to_owned(), |commit| format!("{version} ({commit})"))
}

/// The whole command line, with what each context adds.
pub(crate) fn command() -> clap::Command {
    Cli::command()
        .mut_subcommand("up", |up| config::with_context_settings(config::with_context_args(up, true, false)))
        .mut_subcommand("serve", |serve| config::with_context_settings(config::with_context_args(serve, true, true)))
        .mut_subcommand("migrate", |migrate| config::with_context_args(migrate, true, false))
        .mut_subcommand("check", |check| config::with_context_args(check, true, false))
        .mut_subcommand("demo", |demo| config::with_context_args(demo, false, true))
        .mut_subcommand("health", |health| config::with_context_args(health, false, true))
}

/// Does what the command line says.
pub(crate) async fn run() -> anyhow::Result<ExitCode> {
    let matches = command().get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let (_, matches) = matches.subcommand().ok_or_else(|| anyhow::anyhow!("no command"))?;
    match cli.command {
        Action::Up(settings) => {
            let contexts = contexts::all();
            serve_or_explain(serve::Plan::new(contexts, settings, matches, true)).await
        }
        Action::Serve { contexts, settings } => {
            let plan =
                contexts::named(&contexts).and_then(|contexts| serve::Plan::new(contexts, settings, matches, false));
            serve_or_explain(plan).await
        }
        Action::Migrate { contexts, storage } => {
            let contexts = if contexts.is_empty() { contexts::all() } else { contexts::named(&contexts)? };
            serve::migrate(&contexts, &storage, matches).await
        }
        Action::Demo { target, args } => {
            scenarios::run(&args, &target.addr, &config::addresses(matches), &target.credentials.connector()?)
                .await
                .map(success)
        }
        Action::Bench { target, args } => {
            loadgen::run(&args, &target.addr, &target.credentials.connector()?).await.map(success)
        }
        Action::Check { storage, args } => {
            let databases = config::databases(&storage, matches, &contexts::names())?;
            audit::run(&args, &databases, &contexts::databases()).await
        }
        Action::Health { target, args } => {
            health::run(&args, &target.addr, &config::addresses(matches), &target.credentials.anonymous()?)
                .await
                .map(success)
        }
        Action::Errors => {
            std::io::stdout().write_all(errors::page().as_bytes())?;
            Ok(ExitCode::SUCCESS)
        }
        Action::Token(args) => {
            writeln!(std::io::stdout(), "{}", config::issue(&args)?)?;
            Ok(ExitCode::SUCCESS)
        }
        Action::Jwks { key } => {
            writeln!(std::io::stdout(), "{}", SigningKey::open(&key)?.jwks())?;
            Ok(ExitCode::SUCCESS)
        }
        Action::Completions { shell } => {
            clap_complete::generate(shell, &mut command(), "jumun", &mut std::io::stdout().lock());
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn success((): ()) -> ExitCode {
    ExitCode::SUCCESS
}

/// A configuration that cannot be served ends with its own code, before anything is opened.
async fn serve_or_explain(plan: anyhow::Result<serve::Plan>) -> anyhow::Result<ExitCode> {
    match plan {
        Ok(plan) => plan.run().await.map(success),
        Err(error) => {
            // Standard error may be closed; the code still tells.
            let _ = writeln!(std::io::stderr(), "jumun: {error:#}");
            Ok(ExitCode::from(EX_USAGE))
        }
    }
}
