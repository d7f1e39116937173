//! `up`, `serve` and `migrate`: from settings to a serving process and back to nothing.

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

/// How long the databases may take to be there when a process starts beside them.
const DATABASE_WAIT: Duration = Duration::from_secs(30);
const DATABASE_POLL: Duration = Duration::from_millis(500);

/// What a process is going to serve.
pub(crate) struct Plan {
    contexts: Vec<Context>,
    settings: ServeSettings,
    access: AccessPlan,
    places: Topology,
    /// Everything in this process: it greets a person.
    whole: bool,
}

impl Plan {
    /// Reads the settings; an error names the one that is wrong.
    pub(crate) fn new(
        contexts: Vec<Context>,
        settings: ServeSettings,
        matches: &ArgMatches,
        whole: bool,
    ) -> anyhow::Result<Self> {
        settings.check_profile()?;
        let names: Vec<_> = contexts.iter().map(|context| context.name).collect();
        let databases = config::databases(&settings.storage, matches, &names)?;
        let access = settings.access.plan(settings.listen, &settings.storage.data_dir)?;
        settings.tls.trust().check()?;
        let calls_others = contexts.iter().flat_map(|context| context.calls).any(|callee| !names.contains(callee));
        access.check_service_key(calls_others)?;
        let addresses = if whole { Default::default() } else { config::addresses(matches) };
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
        let places = Topology { databases, addresses, trust, settings: settings_of_contexts, ..Topology::default() };
        Ok(Self { contexts, settings, access, places, whole })
    }

    /// Serves until SIGTERM or SIGINT; a second one ends at once.
    pub(crate) async fn run(mut self) -> anyhow::Result<()> {
        if self.settings.print_config {
            return Ok(write!(std::io::stdout(), "{}", self.settings.print(&self.places))?);
        }
        telemetry::start(self.settings.log_format.into(), &self.settings.service_version)?;
        take_small_pages();
        open_many_files();
        let listen = self.settings.listen;
        let listener = TcpListener::bind(listen)
            .await
            .with_context(|| format!("cannot listen on {listen} (is another process there? set JUMUN_LISTEN)"))?;
        let address = listener.local_addr()?;
        if self.settings.migrate {
            when_there(|| self.places.migrate(&self.contexts), is_away).await?;
        } else {
            // Whoever migrates may do so a little later, too.
            when_there(|| self.places.require_migrated(&self.contexts), |_| true).await?;
        }
        let guarded = !matches!(self.access, AccessPlan::Off);
        self.places.authentication = self.access.authentication(self.places.trust.clone()).await?;
        let bus = match self.settings.jetstream() {
            Some(settings) => Bus::JetStream(JetStreamBus::connect(settings).await?.into()),
            None => Bus::Local(LocalBus::default()),
        };
        let settings = self.settings.settings();
        if !settings.overload_protection {
            tracing::warn!("JUMUN_OVERLOAD_PROTECTION=off: too much at once is not refused, everybody waits");
        }
        if settings.drills {
            tracing::warn!("JUMUN_DRILLS=true: operators may make calls of this process fail (AdminService.SetFault)");
        }
        let mut runtime =
            Runtime::build(&admin::platform(), &self.contexts, self.places, settings, Clock::System, bus)?;
        runtime.share_with(&self.settings.cors_origins);
        runtime.start().await;
        runtime.start_workers();
        let names = self.contexts.iter().map(|context| context.name).collect::<Vec<_>>().join(" ");
        tracing::info!(%address, contexts = names, version = %self.settings.service_version, "ready");
        if self.whole {
            greet(address, guarded, self.settings.tls.listener().is_some())?;
        }
        runtime.serve(listener, self.settings.tls.listener(), stop_signal()?).await?;
        tracing::info!("ended");
        telemetry::stop();
        Ok(())
    }
}

/// Brings the databases of these contexts up to date.
pub(crate) async fn migrate(
    contexts: &[Context],
    storage: &StorageSettings,
    matches: &ArgMatches,
) -> anyhow::Result<ExitCode> {
    let names: Vec<_> = contexts.iter().map(|context| context.name).collect();
    let places = Topology { databases: config::databases(storage, matches, &names)?, ..Topology::default() };
    when_there(|| places.migrate(contexts), is_away).await?;
    for (context, url) in &places.databases {
        writeln!(std::io::stdout(), "{context} is up to date at {url}")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A database server may start a little later than we do.
async fn when_there(
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

fn is_away(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(engine::storage::StorageError::Lost(_)))
}

/// Keeps the memory of the process out of huge pages: idle, it would take twice as much, and busy, it is no faster.
fn take_small_pages() {
    if let Err(error) = disable_transparent_huge_pages(true) {
        tracing::debug!(%error, "the system chooses the size of pages");
    }
}

/// Lets the process open as many files as the system allows it: each connection is one, and shells start programs with
/// 1,024.
fn open_many_files() {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}

/// Done at the first SIGTERM or SIGINT; the second ends the process at once.
fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("draining; a second signal ends at once");
        task::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            std::process::exit(130);
        });
    })
}

/// Says how a person calls it, as it is guarded.
fn greet(address: SocketAddr, is_guarded: bool, is_tls: bool) -> anyhow::Result<()> {
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

Ctrl-C ends it; the next start goes on where this one stopped."
    )?;
    Ok(())
}
