//! The command line.

use std::{io::Write, path::PathBuf, process::ExitCode};

use audit::CheckArgs;
use auth::SigningKey;
use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand, parser::ValueSource};
use loadgen::{BenchArgs, Instance};
use scenarios::DemoArgs;

use crate::{
    config::{self, ServeSettings, StorageSettings, Target, TokenArgs},
    contexts,
    dlq::{self, DlqCommand},
    errors,
    events::{self, EventsArgs},
    health::{self, HealthArgs},
    serve,
};

/// Exit code for an invalid configuration (sysexits.h: EX_USAGE).
const EX_USAGE: u8 = 64;

#[derive(Parser)]
#[command(name = "jumun", version = version(), about = "Order to payment: one binary, any set of contexts", max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Run all contexts in one process, on one port, with the data in one folder
    Up(ServeSettings),
    /// Run the given contexts in one process
    Serve {
        /// Names of the contexts
        #[arg(required = true, value_name = "CONTEXT")]
        contexts: Vec<String>,
        #[command(flatten)]
        settings: ServeSettings,
    },
    /// Migrate databases to the current version and exit
    Migrate {
        /// Contexts to migrate [default: all]
        #[arg(value_name = "CONTEXT")]
        contexts: Vec<String>,
        #[command(flatten)]
        storage: StorageSettings,
    },
    /// Run a scenario against a running instance; fails if a step fails
    Demo {
        #[command(flatten)]
        target: Target,
        #[command(flatten)]
        args: DemoArgs,
    },
    /// Measure the throughput and latency of a running instance, compared with an empty method
    Bench {
        #[command(flatten)]
        target: Target,
        #[command(flatten)]
        args: BenchArgs,
    },
    /// Check the invariants of the platform in its databases; fails if one is violated
    Check {
        #[command(flatten)]
        storage: StorageSettings,
        #[command(flatten)]
        args: CheckArgs,
    },
    /// List dead letters of a running instance, show them, apply them again, or discard them
    Dlq {
        #[command(subcommand)]
        command: DlqCommand,
    },
    /// Print the events of an order, or of another resource, and of everything that belongs to it
    Events {
        #[command(flatten)]
        target: Target,
        #[command(flatten)]
        args: EventsArgs,
    },
    /// Check whether a running instance is serving; fails if it is not
    Health {
        #[command(flatten)]
        target: Target,
        #[command(flatten)]
        args: HealthArgs,
    },
    /// Print every reason that an error can have, and what to do about it (Markdown)
    Errors,
    /// Issue a development token, signed with a key in the data folder
    Token(TokenArgs),
    /// Print the public part of a signing key as a JSON Web Key Set
    Jwks {
        /// Ed25519 key (PKCS#8 in PEM), e.g. that of JUMUN_SERVICE_KEY_FILE
        #[arg(value_name = "FILE")]
        key: PathBuf,
    },
    /// Print a shell completion script
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// The version, with the commit if it was set at build time.
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
        .mut_subcommand("bench", |bench| config::with_context_args(bench, false, true))
        .mut_subcommand("events", |events| config::with_context_args(events, false, true))
        .mut_subcommand("health", |health| config::with_context_args(health, false, true))
}

/// Runs the command.
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
            args.validate().unwrap_or_else(|error| error.exit());
            loadgen::run(&args, &instance(&target, matches), &target.credentials.connector()?).await.map(success)
        }
        Action::Check { storage, args } => {
            let databases = config::databases(&storage, matches, &contexts::names())?;
            audit::run(&args, &databases, &contexts::databases()).await
        }
        Action::Dlq { command } => dlq::run(&command).await.map(success),
        Action::Events { target, args } => {
            events::run(&args, &target.addr, &config::addresses(matches), &target.credentials.connector()?).await
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

/// The instance that `bench` measures. A context without an address of its own is at the target's.
fn instance(target: &Target, matches: &ArgMatches) -> Instance {
    let addresses = config::addresses(matches);
    let address = |context: &str| addresses.get(context).unwrap_or(&target.addr).clone();
    let (order, store) = (address("order"), address("store"));
    let processes = addresses.values().chain([&order]).cloned().collect();
    let is_data_dir_given = matches.value_source("data_dir") != Some(ValueSource::DefaultValue);
    let data_dir = is_data_dir_given.then(|| target.credentials.data_dir().to_owned());
    Instance { order, store, processes, data_dir }
}

fn success((): ()) -> ExitCode {
    ExitCode::SUCCESS
}

/// Runs the plan. An invalid configuration ends with its own exit code before anything is opened.
async fn serve_or_explain(plan: anyhow::Result<serve::Plan>) -> anyhow::Result<ExitCode> {
    match plan {
        Ok(plan) => plan.run().await.map(success),
        Err(error) => {
            // Standard error may be closed; the exit code still reports the failure.
            let _ = writeln!(std::io::stderr(), "jumun: {error:#}");
            Ok(ExitCode::from(EX_USAGE))
        }
    }
}
