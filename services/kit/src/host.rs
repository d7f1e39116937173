//! Puts contexts together: which of them run here, where their databases and neighbours are, and what runs beside.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};

use diesel_migrations::EmbeddedMigrations;
use futures::future::{BoxFuture, join_all};
use prometheus::{Histogram, Registry};
use tokio::{net::TcpListener, sync::watch, task::JoinSet, time::MissedTickBehavior};
use tonic::{body::Body, server::NamedService};
use tower::Service;

use crate::{
    Clock, ContextSetting, Error, Message, Reason, ServiceVersion, Stored, Time,
    admin::Admin,
    admission::AdmissionControl,
    auth::{AccessTable, Guard},
    bench::Bench,
    bus::Bus,
    channel::Channel,
    consumer::{Consumer, Policy},
    edge::{Edge, Services, WayBack},
    engine::{Engine, Maintenance},
    fault::Faults,
    http::{Doors, Origins},
    metrics::{Meters, Page, Sources},
    outbox::{self, Relay},
    overload::{Bulkhead, Circuit, Overload},
    server::{self, MAX_REQUEST_BYTES},
    storage::{Database, DatabaseUrl},
    tls::{Tls, TlsSettings, Trust},
    version::Signatures,
};

/// How long a process keeps serving after it said that it is going: time for load balancers to hear it.
const LAME_DUCK: Duration = Duration::from_millis(500);
/// How long the relays may take with the last events.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);
const FLUSH_POLL: Duration = Duration::from_millis(20);
/// How long the consumers may take with what they have begun.
const FINISH_TIMEOUT: Duration = Duration::from_secs(2);

/// A context, as its crate offers it.
pub struct Context {
    /// Its name: the proto package, the database schema and the word on the command line.
    pub name: &'static str,
    /// The contexts that it calls.
    pub calls: &'static [&'static str],
    /// Its databases and their tables; the first is the context's own and has its name.
    pub databases: Vec<(&'static str, EmbeddedMigrations)>,
    /// Why it refuses, for the catalogue.
    pub reasons: &'static [&'static Reason],
    /// Wires it.
    pub build: fn(&mut Unit<'_>) -> anyhow::Result<()>,
}

/// Where the databases and neighbours of a process are, by context.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// The database of each context that runs here.
    pub databases: BTreeMap<String, DatabaseUrl>,
    /// The address of each context that runs elsewhere.
    pub addresses: BTreeMap<String, String>,
    /// Who is let in. By default everybody is.
    pub guard: Guard,
    /// Whom to trust at addresses that are `https://`.
    pub trust: Trust,
    /// What contexts are told, by the setting's flag.
    pub settings: BTreeMap<String, String>,
}

impl Places {
    /// One of a context's databases. On PostgreSQL it is a schema, in SQLite a file beside the context's.
    pub fn database(&self, context: &str, schema: &str) -> anyhow::Result<Database> {
        let url = self.databases.get(context).ok_or_else(|| anyhow::anyhow!("no database is set for {context}"))?;
        let url = match url {
            DatabaseUrl::Sqlite(path) if schema != context => {
                DatabaseUrl::Sqlite(path.with_file_name(format!("{schema}.db")))
            }
            url => url.clone(),
        };
        Ok(Database::new(schema, url))
    }

    /// Brings every database of these contexts up to date.
    pub fn migrate(&self, contexts: &[Context]) -> anyhow::Result<()> {
        self.for_each_database(contexts, Database::migrate)
    }

    /// Fails unless every database of these contexts is up to date.
    pub fn require_migrated(&self, contexts: &[Context]) -> anyhow::Result<()> {
        self.for_each_database(contexts, Database::require_migrated)
    }

    fn for_each_database(
        &self,
        contexts: &[Context],
        act: impl Fn(&Database, &EmbeddedMigrations) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        for context in contexts {
            for (schema, migrations) in &context.databases {
                act(&self.database(context.name, schema)?, migrations)?;
            }
        }
        Ok(())
    }
}

/// Calls to one provider at once, where nothing else is said.
pub const DEFAULT_PROVIDER_CALLS: usize = 1024;

/// What a process is told about how it is to serve.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whether callers may ask what there is to call.
    pub reflection: bool,
    /// Whether too much at once is refused. Off, everybody waits: to see what that is like.
    pub overload_protection: bool,
    /// Calls to each provider outside at once.
    pub provider_calls: usize,
    /// What tells this process apart from others that serve the same.
    pub service_version: ServiceVersion,
    /// Whether an operator may make calls fail.
    pub drills: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            reflection: true,
            overload_protection: true,
            provider_calls: DEFAULT_PROVIDER_CALLS,
            service_version: ServiceVersion::default(),
            drills: false,
        }
    }
}

/// A consumer that subscribes first, and then runs for as long as the process.
type Subscribing = Box<dyn FnOnce() -> BoxFuture<'static, BoxFuture<'static, ()>> + Send>;

/// What a worker does each time.
type Round = Arc<dyn Fn() -> BoxFuture<'static, Result<(), Error>> + Send + Sync>;

struct Worker {
    name: &'static str,
    every: Duration,
    round: Round,
}

/// An engine that announces, whatever it is for.
pub(crate) trait Outbox: Send + Sync {
    fn database(&self) -> &Database;
    fn close(&self);
    fn maintain(&self, work: Maintenance) -> BoxFuture<'static, Result<(), Error>>;
    /// Commands and events that wait.
    fn queued(&self) -> (usize, usize);
    fn batch_sizes(&self) -> &Histogram;
    /// Since when events wait while the bus acknowledges none; None while there is progress.
    fn stalled_since(&self) -> Option<Time>;
}

impl<A: Stored> Outbox for Engine<A> {
    fn database(&self) -> &Database {
        Engine::database(self)
    }

    fn close(&self) {
        self.shared().queue.close();
    }

    fn maintain(&self, work: Maintenance) -> BoxFuture<'static, Result<(), Error>> {
        let shared = self.shared().clone();
        Box::pin(async move { shared.queue.maintain(work).await })
    }

    fn queued(&self) -> (usize, usize) {
        self.shared().queue.lengths()
    }

    fn batch_sizes(&self) -> &Histogram {
        &self.shared().queue.batch_sizes
    }

    fn stalled_since(&self) -> Option<Time> {
        self.shared().stall.elapsed().map(|elapsed| self.now() - elapsed)
    }
}

/// A consumer, whatever it hears.
pub(crate) trait Hearer: Send + Sync {
    fn name(&self) -> &str;
    fn source(&self) -> &'static str;
    /// Applies a dead letter once more.
    fn redrive(&self, message: Arc<Message>, dead_letter: i64) -> BoxFuture<'_, Result<(), Error>>;
}

impl<A: Stored> Hearer for Consumer<A> {
    fn name(&self) -> &str {
        &self.name
    }

    fn source(&self) -> &'static str {
        self.source
    }

    fn redrive(&self, message: Arc<Message>, dead_letter: i64) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(self.redrive(message, dead_letter))
    }
}

/// The wiring of one context within a process.
pub struct Unit<'a> {
    name: &'static str,
    wiring: &'a mut Wiring,
}

struct Wiring {
    places: Places,
    settings: Settings,
    circuits: Vec<Arc<Circuit>>,
    bulkheads: Vec<Arc<Bulkhead>>,
    clock: Clock,
    bus: Bus,
    here: Vec<&'static str>,
    way_back: WayBack,
    services: Services,
    names: Vec<&'static str>,
    relays: Vec<BoxFuture<'static, ()>>,
    subscribing: Vec<Subscribing>,
    workers: Vec<Worker>,
    outboxes: Vec<Arc<dyn Outbox>>,
    silent: Vec<Arc<dyn Outbox>>,
    hearers: Vec<Arc<dyn Hearer>>,
    stopping: watch::Sender<bool>,
}

impl Unit<'_> {
    /// The engine of the context's aggregate; what it announces goes to the bus.
    pub fn engine<A: Stored>(&mut self) -> anyhow::Result<Engine<A>> {
        self.engine_in(self.name)
    }

    /// The engine of another aggregate of the context, in a database of its own beside the context's.
    pub fn engine_in<A: Stored>(&mut self, schema: &str) -> anyhow::Result<Engine<A>> {
        let database = self.wiring.places.database(self.name, schema)?;
        let (outgoing, fresh) = outbox::channel();
        let engine = Engine::start(database, self.wiring.clock.clone(), outgoing)?;
        self.wiring.relays.push(Box::pin(Relay::new(engine.clone(), &self.wiring.bus).run(fresh)));
        self.wiring.outboxes.push(Arc::new(engine.clone()));
        Ok(engine)
    }

    /// An engine that announces nothing, in a database of its own beside the context's.
    pub fn silent_engine<A: Stored>(&mut self, schema: &str) -> anyhow::Result<Engine<A>> {
        let database = self.wiring.places.database(self.name, schema)?;
        let engine = Engine::start(database, self.wiring.clock.clone(), outbox::channel().0)?;
        self.wiring.silent.push(Arc::new(engine.clone()));
        Ok(engine)
    }

    /// The way to another context: within this process, when it runs here.
    pub fn channel(&mut self, context: &str) -> anyhow::Result<Channel> {
        let circuit = Arc::new(Circuit::new(self.name, context, self.wiring.settings.overload_protection));
        self.wiring.circuits.push(circuit.clone());
        if self.wiring.here.contains(&context) {
            return Ok(Channel::local(self.wiring.way_back.clone(), self.name, circuit));
        }
        let address = self.wiring.places.addresses.get(context).ok_or_else(|| {
            anyhow::anyhow!(
                "{} calls {context}, which does not run here: set JUMUN_{}_ADDR to its http://host:port",
                self.name,
                context.to_uppercase()
            )
        })?;
        let token = self.wiring.places.guard.service_token(self.name);
        Channel::remote(address, &self.wiring.places.trust, token, circuit)
    }

    /// The places of those who may call a provider outside at once.
    pub fn bulkhead(&mut self, name: &'static str) -> Arc<Bulkhead> {
        let settings = &self.wiring.settings;
        let bulkhead = Arc::new(Bulkhead::new(name, settings.provider_calls, settings.overload_protection));
        self.wiring.bulkheads.push(bulkhead.clone());
        bulkhead
    }

    /// The way to a context that this one can do without; None: it does not run here, and nobody said where it does.
    pub fn channel_if_known(&mut self, context: &str) -> anyhow::Result<Option<Channel>> {
        let known = self.wiring.here.contains(&context) || self.wiring.places.addresses.contains_key(context);
        if known { self.channel(context).map(Some) } else { Ok(None) }
    }

    /// Serves a gRPC service.
    pub fn serve<S>(&mut self, service: S)
    where
        S: Service<
                http::Request<Body>,
                Response = http::Response<Body>,
                Error = Infallible,
                Future = BoxFuture<'static, Result<http::Response<Body>, Infallible>>,
            >,
        S: NamedService + Clone + Send + Sync + 'static,
    {
        self.wiring.names.push(S::NAME);
        self.wiring.services.add(service);
    }

    /// Hears what another context announces.
    #[expect(clippy::async_yields_async, reason = "a consumer subscribes first, and runs later")]
    pub fn hear<A: Stored>(&mut self, source: &'static str, engine: &Engine<A>, policy: &Policy<A>) {
        let consumer = || Consumer {
            bus: self.wiring.bus.clone(),
            engine: engine.clone(),
            source,
            name: format!("{}-on-{source}", engine.database().schema()),
            policy: policy.clone(),
            stopping: self.wiring.stopping.subscribe(),
        };
        self.wiring.hearers.push(Arc::new(consumer()));
        let consumer = consumer();
        self.wiring.subscribing.push(Box::new(move || {
            Box::pin(async move {
                let incoming = consumer.subscribe().await;
                let running: BoxFuture<'static, ()> = Box::pin(consumer.run(incoming));
                running
            })
        }));
    }

    /// Does something at the start and every so often: what a crash interrupted is found by its state, and finished.
    pub fn every<F>(&mut self, every: Duration, name: &'static str, round: impl Fn() -> F + Send + Sync + 'static)
    where
        F: Future<Output = Result<(), Error>> + Send + 'static,
    {
        self.wiring.workers.push(Worker { name, every, round: Arc::new(move || Box::pin(round())) });
    }

    /// What a setting of this context says.
    pub fn setting(&self, setting: &'static ContextSetting) -> &str {
        self.wiring.places.settings.get(&setting.flag()).map_or(setting.default, String::as_str)
    }

    /// Whom to trust when somebody outside is called over TLS.
    pub fn trust(&self) -> &Trust {
        &self.wiring.places.trust
    }

    /// The platform's clock.
    pub fn clock(&self) -> &Clock {
        &self.wiring.clock
    }
}

impl Wiring {
    /// Who is let in how fast, and the metrics of everything behind that.
    fn admissions(&self, overload: &Arc<Overload>) -> anyhow::Result<(Arc<AdmissionControl>, Page)> {
        let registry = Registry::new();
        let version = &self.settings.service_version;
        let meters = Meters::new(&registry, version)?;
        let sources = Sources {
            overload: overload.clone(),
            outboxes: self.outboxes.clone(),
            silent: self.silent.clone(),
            hearers: self.hearers.clone(),
            bus: self.bus.clone(),
            clock: self.clock.clone(),
        };
        Ok((AdmissionControl::new(overload.clone(), meters), Page::new(registry, sources, version)?))
    }
}

/// The contexts of one process, wired.
pub struct Host {
    edge: Edge,
    doors: Doors,
    overload: Arc<Overload>,
    health: tonic_health::server::HealthReporter,
    services: Vec<&'static str>,
    bus: Bus,
    relays: Vec<BoxFuture<'static, ()>>,
    subscribing: Vec<Subscribing>,
    workers: Vec<Worker>,
    outboxes: Vec<Arc<dyn Outbox>>,
    /// Engines that announce nothing.
    silent: Vec<Arc<dyn Outbox>>,
    hearers: Vec<Arc<dyn Hearer>>,
    stopping: watch::Sender<bool>,
    consumers: JoinSet<()>,
    running: JoinSet<()>,
}

impl Host {
    /// Wires contexts. Nothing runs yet but the writers, who have nothing to do.
    pub fn build(
        contexts: &[Context],
        places: Places,
        settings: Settings,
        clock: Clock,
        bus: Bus,
    ) -> anyhow::Result<Self> {
        let way_back = WayBack::default();
        let mut wiring = Wiring {
            places,
            settings,
            circuits: Vec::new(),
            bulkheads: Vec::new(),
            clock,
            bus: bus.clone(),
            here: contexts.iter().map(|context| context.name).collect(),
            way_back: way_back.clone(),
            services: Services::default(),
            names: Vec::new(),
            relays: Vec::new(),
            subscribing: Vec::new(),
            workers: Vec::new(),
            outboxes: Vec::new(),
            silent: Vec::new(),
            hearers: Vec::new(),
            stopping: watch::Sender::new(false),
        };
        for context in contexts {
            (context.build)(&mut Unit { name: context.name, wiring: &mut wiring })?;
        }
        let (circuits, bulkheads) = (std::mem::take(&mut wiring.circuits), std::mem::take(&mut wiring.bulkheads));
        let overload = Arc::new(Overload::new(wiring.settings.overload_protection, circuits, bulkheads));
        Unit { name: "process", wiring: &mut wiring }.serve(Bench::service());
        let faults = wiring.settings.drills.then(|| Arc::new(Faults::of(&wiring.names)));
        let (outboxes, hearers) = (wiring.outboxes.clone(), wiring.hearers.clone());
        let admin = Admin::new(outboxes, hearers, overload.clone(), faults.clone()).into_service();
        Unit { name: "process", wiring: &mut wiring }.serve(admin);

        let (health, health_service) = tonic_health::server::health_reporter();
        wiring.services.add(health_service.max_decoding_message_size(MAX_REQUEST_BYTES));
        if wiring.settings.reflection {
            add_reflection(&mut wiring.services, &wiring.names)?;
        }
        let gate = wiring.places.guard.over(AccessTable::of_services(&wiring.names)?);
        let (admissions, page) = wiring.admissions(&overload)?;
        let signatures = Signatures::new(&wiring.settings.service_version, &wiring.names);
        let edge = Edge::new(wiring.services, gate, admissions, signatures, faults);
        way_back.lead_to(&edge);
        Ok(Self {
            doors: Doors::new(edge.clone(), page, &wiring.names)?,
            edge,
            overload,
            health,
            services: wiring.names,
            bus,
            relays: wiring.relays,
            subscribing: wiring.subscribing,
            workers: wiring.workers,
            outboxes: wiring.outboxes,
            silent: wiring.silent,
            hearers: wiring.hearers,
            stopping: wiring.stopping,
            consumers: JoinSet::new(),
            running: JoinSet::new(),
        })
    }

    /// Lets web pages of these origins call.
    pub fn share_with(&mut self, origins: &Origins) {
        self.doors = self.doors.clone().shared_with(origins);
    }

    /// Subscribes every consumer, then starts the relays: a local bus knows its consumers before it is fed.
    pub async fn start(&mut self) {
        for subscribe in self.subscribing.drain(..) {
            let consumer = subscribe().await;
            self.consumers.spawn(consumer);
        }
        for relay in self.relays.drain(..) {
            self.running.spawn(relay);
        }
        for service in self.services.iter().copied().chain([""]) {
            self.health.set_service_status(service, tonic_health::ServingStatus::Serving).await;
        }
    }

    /// Runs the workers by the clock on the wall; a test runs them itself.
    pub fn start_workers(&mut self) {
        for Worker { name, every, round } in self.workers.drain(..) {
            self.running.spawn(async move {
                let mut ticks = tokio::time::interval(every);
                ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
                loop {
                    ticks.tick().await;
                    if let Err(error) = round().await {
                        tracing::debug!(%error, worker = name, "tried again soon");
                    }
                }
            });
        }
    }

    /// Runs each worker once.
    pub async fn run_workers_once(&self) -> Result<(), Error> {
        for worker in &self.workers {
            (worker.round)().await?;
        }
        Ok(())
    }

    /// Serves until `stop` is done, and ends without losing anything under way.
    pub async fn serve(
        mut self,
        listener: TcpListener,
        tls: Option<TlsSettings>,
        stop: impl Future<Output = ()>,
    ) -> anyhow::Result<()> {
        let tls = tls.map(Tls::open).transpose()?;
        let (health, services) = (self.health.clone(), self.services.clone());
        let leave = async move {
            stop.await;
            for service in services.into_iter().chain([""]) {
                health.set_service_status(service, tonic_health::ServingStatus::NotServing).await;
            }
            tokio::time::sleep(LAME_DUCK).await;
        };
        server::serve(listener, tls, self.doors.clone(), self.overload.clone(), leave).await;
        self.stop().await;
        Ok(())
    }

    /// Gives the last events to the bus, within a bound, and ends what runs.
    pub async fn stop(&mut self) {
        let until = Instant::now() + FLUSH_TIMEOUT;
        self.flush(until).await;
        self.stopping.send_replace(true);
        let finish = async { while self.consumers.join_next().await.is_some() {} };
        if tokio::time::timeout(FINISH_TIMEOUT, finish).await.is_err() {
            self.consumers.shutdown().await;
        }
        // What the consumers did at last leads to events, too.
        self.flush(until).await;
        self.running.shutdown().await;
        self.bus.flush().await;
        for engine in self.outboxes.iter().chain(&self.silent) {
            engine.close();
        }
    }

    async fn flush(&self, until: Instant) {
        while Instant::now() < until && !self.is_flushed().await {
            tokio::time::sleep(FLUSH_POLL).await;
        }
    }

    async fn is_flushed(&self) -> bool {
        for outbox in &self.outboxes {
            match outbox::status(outbox.database()).await {
                Ok(status) if status.unpublished > 0 => return false,
                _ => {}
            }
        }
        true
    }

    /// Whether every event is published and applied by the consumers of this process.
    pub async fn is_settled(&self) -> bool {
        if !self.is_flushed().await {
            return false;
        }
        let unsettled = self.hearers.iter().map(|hearer| self.bus.unsettled(hearer.source(), hearer.name()));
        join_all(unsettled).await.into_iter().all(|unsettled| matches!(unsettled, Ok(0)))
    }

    /// The databases of the contexts that announce.
    pub fn databases(&self) -> impl Iterator<Item = &Database> {
        self.outboxes.iter().map(|outbox| outbox.database())
    }

    /// What limits the process.
    #[cfg(feature = "world")]
    pub(crate) fn overload(&self) -> Arc<Overload> {
        self.overload.clone()
    }

    /// The way into the process, without a network.
    pub fn edge(&self) -> Edge {
        self.edge.clone()
    }

    /// The ways into the process for whatever comes over HTTP, without a network.
    pub fn doors(&self) -> Doors {
        self.doors.clone()
    }
}

fn add_reflection(services: &mut Services, names: &[&'static str]) -> anyhow::Result<()> {
    let builder = || {
        let mut builder = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(contracts::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            // What errors carry: callers that read by reflection would see bytes.
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
            .with_service_name("grpc.health.v1.Health");
        for name in names {
            builder = builder.with_service_name(*name);
        }
        builder
    };
    // Older clients speak v1alpha.
    services.add(builder().build_v1()?.max_decoding_message_size(MAX_REQUEST_BYTES));
    services.add(builder().build_v1alpha()?.max_decoding_message_size(MAX_REQUEST_BYTES));
    Ok(())
}
