//! `jumun up`, `serve` and `migrate`: starts a serving process from its settings, and stops it.

use std::{io::Write, net::SocketAddr, process::ExitCode, time::Duration};

use anyhow::Context as _;
use clap::ArgMatches;
use eventing::{Bus, JetStreamBus, LocalBus};
use jumun_core::{
    Clock, task,
    time::{Instant, sleep},
};
use runtime::{Context, Runtime, Topology, telemetry};
use rustix::{
    process::{Resource, Rlimit, getrlimit, setrlimit},
    thread::disable_transparent_huge_pages,
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

use crate::config::{self, AccessPlan, ServeSettings, StorageSettings};

/// How long to wait for databases that start at the same time as this process.
const DATABASE_WAIT: Duration = Duration::from_secs(30);
const DATABASE_POLL: Duration = Duration::from_millis(500);

/// The contexts and settings of a process.
pub(crate) struct Plan {
    contexts: Vec<Context>,
    settings: ServeSettings,
    access: AccessPlan,
    topology: Topology,
    /// Every context runs in this process; it prints example calls at the start.
    all_contexts: bool,
}

impl Plan {
    /// Validates the settings; the error names the one that is wrong.
    pub(crate) fn new(
        contexts: Vec<Context>,
        settings: ServeSettings,
        matches: &ArgMatches,
        all_contexts: bool,
    ) -> anyhow::Result<Self> {
        settings.check_profile()?;
        let names: Vec<_> = contexts.iter().map(|context| context.name).collect();
        let databases = config::databases(&settings.storage, matches, &names)?;
        let access = settings.access.plan(settings.listen, &settings.storage.data_dir)?;
        settings.tls.trust().check()?;
        let calls_others = contexts.iter().flat_map(|context| context.calls).any(|callee| !names.contains(callee));
        access.check_service_key(calls_others)?;
        let addresses = if all_contexts { Default::default() } else { config::addresses(matches) };
        for context in &contexts {
            for callee in context.calls.iter().filter(|callee| !names.contains(callee)) {
                anyhow::ensure!(
                    addresses.contains_key(*callee),
                    "{} calls {callee}, which does not run here: set JUMUN_{}_ADDR to its http://host:port",
                    context.name,
                    callee.to_uppercase()
                );
            }
        }
        let trust = settings.tls.trust();
        let settings_of_contexts = config::context_settings(matches);
        let topology = Topology { databases, addresses, trust, settings: settings_of_contexts, ..Topology::default() };
        Ok(Self { contexts, settings, access, topology, all_contexts })
    }

    /// Serves until SIGTERM or SIGINT. A second signal ends the process at once.
    pub(crate) async fn run(mut self) -> anyhow::Result<()> {
        if self.settings.print_config {
            return Ok(write!(std::io::stdout(), "{}", self.settings.print(&self.topology))?);
        }
        telemetry::start(self.settings.log_format.into(), &self.settings.service_version)?;
        disable_huge_pages();
        raise_open_file_limit();
        let listen = self.settings.listen;
        let listener = TcpListener::bind(listen)
            .await
            .with_context(|| format!("cannot listen on {listen} (is the address in use? set JUMUN_LISTEN)"))?;
        let address = listener.local_addr()?;
        if self.settings.migrate {
            wait_for_database(|| self.topology.migrate(&self.contexts), is_unavailable).await?;
        } else {
            // The migration may run a little later than this process starts.
            wait_for_database(|| self.topology.require_migrated(&self.contexts), |_| true).await?;
        }
        let guarded = !matches!(self.access, AccessPlan::Off);
        self.topology.authentication = self.access.authentication(self.topology.trust.clone()).await?;
        let bus = match self.settings.jetstream() {
            Some(settings) => Bus::JetStream(JetStreamBus::connect(settings).await?.into()),
            None => Bus::Local(LocalBus::default()),
        };
        let settings = self.settings.settings();
        if !settings.overload_protection {
            tracing::warn!("JUMUN_OVERLOAD_PROTECTION=off: calls queue instead of being rejected under overload");
        }
        if settings.drills {
            tracing::warn!("JUMUN_DRILLS=true: operators may inject faults (AdminService.SetFault)");
        }
        let mut runtime =
            Runtime::build(&admin::platform(), &self.contexts, self.topology, settings, Clock::System, bus)?;
        runtime.share_with(&self.settings.cors_origins);
        runtime.start().await;
        runtime.start_workers();
        let names = self.contexts.iter().map(|context| context.name).collect::<Vec<_>>().join(" ");
        tracing::info!(%address, contexts = names, version = %self.settings.service_version, "ready");
        if self.all_contexts {
            print_first_calls(address, guarded, self.settings.tls.listener().is_some())?;
        }
        runtime.serve(listener, self.settings.tls.listener(), stop_signal()?).await?;
        tracing::info!("stopped");
        telemetry::stop();
        Ok(())
    }
}

/// Migrates the databases of these contexts.
pub(crate) async fn migrate(
    contexts: &[Context],
    storage: &StorageSettings,
    matches: &ArgMatches,
) -> anyhow::Result<ExitCode> {
    let names: Vec<_> = contexts.iter().map(|context| context.name).collect();
    let topology = Topology { databases: config::databases(storage, matches, &names)?, ..Topology::default() };
    wait_for_database(|| topology.migrate(contexts), is_unavailable).await?;
    for (context, url) in &topology.databases {
        writeln!(std::io::stdout(), "{context} is up to date at {url}")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Retries until the database is available: its server may start a little later than this process.
async fn wait_for_database(
    act: impl Fn() -> anyhow::Result<()>,
    waits_for: impl Fn(&anyhow::Error) -> bool,
) -> anyhow::Result<()> {
    let start = Instant::now();
    loop {
        match task::block_in_place(&act) {
            Err(error) if start.elapsed() < DATABASE_WAIT && waits_for(&error) => {
                tracing::warn!(error = format!("{error:#}"), "waiting for the database");
                sleep(DATABASE_POLL).await;
            }
            result => return result,
        }
    }
}

fn is_unavailable(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(engine::storage::StorageError::Lost(_)))
}

/// Disables transparent huge pages: with them an idle process uses twice the memory, and a busy one is no faster.
fn disable_huge_pages() {
    if let Err(error) = disable_transparent_huge_pages(true) {
        tracing::debug!(%error, "cannot disable transparent huge pages");
    }
}

/// Raises the limit of open files to the maximum that the system allows: each connection is one, the usual soft limit
/// is 1,024.
fn raise_open_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::debug!(%error, "cannot raise the limit of open files");
    }
}

/// Completes at the first SIGTERM or SIGINT; the second one ends the process at once.
fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("draining; a second signal ends the process at once");
        task::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            std::process::exit(130);
        });
    })
}

/// Prints example calls, with a token and TLS options where they are needed.
fn print_first_calls(address: SocketAddr, is_guarded: bool, is_tls: bool) -> anyhow::Result<()> {
    let order = r#"{"request_id":"first","order":{"customer":"customers/mina","store":"stores/gangnam","items":[{"item":"items/bibimbap","quantity":2,"unit_price":{"currency_code":"KRW","units":9000}}],"payment_method":"tok_visa"}}"#;
    let issue = "  TOKEN=$(jumun token --role customer --subject customers/mina)\n";
    let (issue, token) = if is_guarded { (issue, r#" -H "authorization: Bearer $TOKEN""#) } else { ("", "") };
    let (scheme, tls, curl) =
        if is_tls { ("https", " -cacert CA_FILE", " --cacert CA_FILE") } else { ("http", " -plaintext", "") };
    writeln!(
        std::io::stdout(),
        "Jumun is up on {address} (gRPC, gRPC-web, HTTP/JSON). Try:

{issue}  grpcurl{tls} {address} list
  grpcurl{tls} {address} describe jumun.order.v1.OrderService
  grpcurl{tls}{token} -d '{order}' \\
    {address} jumun.order.v1.OrderService/CreateOrder
  grpcurl{tls}{token} {address} jumun.dashboard.v1.DashboardService/ListOrderViews
  curl -s{curl}{token} {scheme}://{address}/v1/orders
  jumun demo food-delivery --addr {scheme}://{address}

Press Ctrl-C to stop. The data is kept for the next start."
    )?;
    Ok(())
}
