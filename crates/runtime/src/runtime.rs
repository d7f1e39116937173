//! Builds a process out of contexts, starts it, serves it, and shuts it down without losing events or calls.

use std::{sync::Arc, time::Duration};

use auth::AccessTable;
use engine::{EngineHandle, outbox, storage::Database};
use eventing::{Bus, SubscriptionHandle};
use futures::future::{BoxFuture, join_all};
use jumun_core::{
    Clock, Error,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep, timeout},
};
use net::tls::{Tls, TlsSettings};
use prometheus::Registry;
use rpc::{
    AdmissionControl, Faults, GrpcStack, MAX_REQUEST_BYTES, Meters, MethodTable, Overload, ServedByHeaders, Services,
    StackParts,
};
use tokio::{net::TcpListener, sync::watch};
use transcode::{HttpApi, Origins};

use crate::{
    context::Context,
    context_builder::{ContextBuilder, RuntimeParts, Worker},
    http_listener::HttpListener,
    listener,
    metrics_page::{MetricsPage, Sources},
    platform::{Operations, Platform},
    service_registry::ServiceRegistry,
    settings::Settings,
    topology::Topology,
};

/// How long a process keeps serving after its health is NOT_SERVING: time for load balancers to notice.
const LAME_DUCK: Duration = Duration::from_millis(500);
/// How often the age of the oldest waiting event is determined.
const BACKLOG_INTERVAL: Duration = Duration::from_millis(20);
/// How long shutdown waits for the relays to publish the last events.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);
const FLUSH_POLL: Duration = Duration::from_millis(20);
/// How long shutdown waits for consumers to finish the events that they have begun to apply.
const FINISH_TIMEOUT: Duration = Duration::from_secs(2);

/// A process: its contexts with their services, engines, relays, consumers and workers.
pub struct Runtime {
    stack: GrpcStack,
    listener: HttpListener,
    overload: Arc<Overload>,
    health: tonic_health::server::HealthReporter,
    services: Vec<&'static str>,
    bus: Bus,
    clock: Clock,
    relays: Vec<BoxFuture<'static, ()>>,
    waiting_consumers: Vec<BoxFuture<'static, ()>>,
    workers: Vec<Worker>,
    engines: Vec<Arc<dyn EngineHandle>>,
    engines_without_events: Vec<Arc<dyn EngineHandle>>,
    subscriptions: Vec<Arc<dyn SubscriptionHandle>>,
    stopping: watch::Sender<bool>,
    consumers: JoinSet<()>,
    running: JoinSet<()>,
}

impl Runtime {
    /// Builds the contexts. The engines run already; relays, consumers and workers do not.
    pub fn build(
        platform: &Platform,
        contexts: &[Context],
        topology: Topology,
        settings: Settings,
        clock: Clock,
        bus: Bus,
    ) -> anyhow::Result<Self> {
        let contracts = &platform.contracts;
        let methods = Arc::new(MethodTable::new(contracts));
        let local_contexts = contexts.iter().map(|context| context.name).collect();
        let mut parts =
            RuntimeParts::new(local_contexts, contracts.roles, topology, settings, clock.clone(), bus.clone());
        for context in contexts {
            (context.build)(&mut ContextBuilder { name: context.name, parts: &mut parts })?;
        }
        let RuntimeParts { topology, settings, circuits, bulkheads, local, mut registry, engines, .. } = parts;
        let version = &settings.service_version;
        let overload = Arc::new(Overload::new(settings.overload_protection, methods.clone(), circuits, bulkheads));
        let faults = settings.drills.then(|| {
            let services: Vec<_> = registry.names.iter().chain(platform.services).copied().collect();
            Arc::new(Faults::of(&services, methods.clone()))
        });
        let operations = Operations {
            engines: engines.clone(),
            subscriptions: parts.subscriptions.clone(),
            overload: overload.clone(),
            faults: faults.clone(),
        };
        (platform.serve)(&mut registry, operations);
        let (health, health_service) = tonic_health::server::health_reporter();
        let ServiceRegistry { mut services, names } = registry;
        services.add(health_service.max_decoding_message_size(MAX_REQUEST_BYTES));
        if settings.reflection {
            add_reflection(&mut services, contracts.encoded, &names)?;
        }

        let metrics = Registry::new();
        let admission = AdmissionControl::new(overload.clone(), Meters::new(&metrics, &methods, version)?);
        let authorizer = topology.authentication.authorizer(AccessTable::of_services(contracts, &names)?);
        let served_by = Arc::new(ServedByHeaders::new(version, &methods, &names));
        let stack = GrpcStack::new(services, StackParts { methods, served_by, admission, authorizer, faults });
        local.connect(&stack);
        let api = HttpApi::new(stack.clone(), contracts, &names, platform.about)?;
        let sources = Sources {
            overload: overload.clone(),
            engines: engines.clone(),
            engines_without_events: parts.engines_without_events.clone(),
            subscriptions: parts.subscriptions.clone(),
            bus: bus.clone(),
            clock: clock.clone(),
        };
        let page = MetricsPage::new(metrics, sources, version, platform.about.version)?;
        Ok(Self {
            listener: HttpListener::new(stack.clone(), api, page),
            stack,
            overload,
            health,
            services: names,
            bus,
            clock,
            relays: parts.relays,
            waiting_consumers: parts.consumers,
            workers: parts.workers,
            engines,
            engines_without_events: parts.engines_without_events,
            subscriptions: parts.subscriptions,
            stopping: parts.stopping,
            consumers: JoinSet::new(),
            running: JoinSet::new(),
        })
    }

    /// Permits web pages of these origins to call (CORS).
    pub fn share_with(&mut self, origins: &Origins) {
        self.listener = self.listener.clone().shared_with(origins);
    }

    /// Starts the process: its consumers and relays; then reports every service as SERVING.
    pub async fn start(&mut self) {
        for consumer in self.waiting_consumers.drain(..) {
            self.consumers.spawn(consumer);
        }
        // A clock that a test moves says nothing about how long events really wait.
        if matches!(self.clock, Clock::System) {
            self.running.spawn(watch_backlog(self.bus.clone(), self.overload.clone(), self.clock.clone()));
        }
        for relay in self.relays.drain(..) {
            self.running.spawn(relay);
        }
        for service in self.services.iter().copied().chain([""]) {
            self.health.set_service_status(service, tonic_health::ServingStatus::Serving).await;
        }
    }

    /// Runs the workers periodically. Tests use [`Runtime::run_workers_once`] instead.
    pub fn start_workers(&mut self) {
        for Worker { name, every, round } in self.workers.drain(..) {
            self.running.spawn(async move {
                let mut ticks = interval(every);
                ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
                loop {
                    ticks.tick().await;
                    if let Err(error) = round().await {
                        tracing::debug!(%error, worker = name, "a worker failed; its next round tries again");
                    }
                }
            });
        }
    }

    /// Runs each worker once, up to the first failure.
    pub async fn run_workers_once(&self) -> Result<(), Error> {
        for worker in &self.workers {
            (worker.round)().await?;
        }
        Ok(())
    }

    /// Serves until `stop` completes. Then it reports NOT_SERVING, drains the listener and stops. Fails when TLS cannot
    /// be set up.
    pub async fn serve(
        mut self,
        listener: TcpListener,
        tls: Option<TlsSettings>,
        stop: impl Future<Output = ()>,
    ) -> anyhow::Result<()> {
        let tls = tls.map(Tls::open).transpose()?;
        let (health, services) = (self.health.clone(), self.services.clone());
        let drain = async move {
            stop.await;
            for service in services.into_iter().chain([""]) {
                health.set_service_status(service, tonic_health::ServingStatus::NotServing).await;
            }
            sleep(LAME_DUCK).await;
        };
        listener::serve(listener, tls, self.listener.clone(), self.overload.clone(), drain).await;
        self.stop().await;
        Ok(())
    }

    /// Stops the consumers, publishes the last events, and closes the engines; each within a time limit.
    pub async fn stop(&mut self) {
        let until = Instant::now() + FLUSH_TIMEOUT;
        self.flush(until).await;
        self.stopping.send_replace(true);
        let finish = async { while self.consumers.join_next().await.is_some() {} };
        if timeout(FINISH_TIMEOUT, finish).await.is_err() {
            self.consumers.shutdown().await;
        }
        // The events that the consumers caused.
        self.flush(until).await;
        self.running.shutdown().await;
        self.bus.flush().await;
        for engine in self.engines.iter().chain(&self.engines_without_events) {
            engine.close();
        }
    }

    async fn flush(&self, until: Instant) {
        while Instant::now() < until && !self.is_flushed().await {
            sleep(FLUSH_POLL).await;
        }
    }

    async fn is_flushed(&self) -> bool {
        for engine in &self.engines {
            match outbox::status(engine.database()).await {
                Ok(status) if status.unpublished > 0 => return false,
                _ => {}
            }
        }
        true
    }

    /// Whether every event is published, and applied by the consumers of this process.
    pub async fn is_settled(&self) -> bool {
        if !self.is_flushed().await {
            return false;
        }
        let unsettled = self
            .subscriptions
            .iter()
            .map(|subscription| self.bus.unsettled(subscription.source(), subscription.name()));
        join_all(unsettled).await.into_iter().all(|unsettled| matches!(unsettled, Ok(0)))
    }

    /// The databases of the engines with events.
    pub fn databases(&self) -> impl Iterator<Item = &Database> {
        self.engines.iter().map(|engine| engine.database())
    }

    /// The limits, circuits and bulkheads of the process.
    pub fn overload(&self) -> Arc<Overload> {
        self.overload.clone()
    }

    /// The server stack of the process, to be called without a network.
    pub fn stack(&self) -> GrpcStack {
        self.stack.clone()
    }

    /// The HTTP service of the process, to be called without a network.
    pub fn listener(&self) -> HttpListener {
        self.listener.clone()
    }
}

/// Tells the overload protection how long the oldest event of the process has waited. Events from before its start do
/// not count: a consumer that is new, or was down, may read them for long, and new work does not make it later.
async fn watch_backlog(bus: Bus, overload: Arc<Overload>, clock: Clock) {
    let mut ticks = interval(BACKLOG_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let start = clock.now();
    loop {
        ticks.tick().await;
        let oldest = bus.oldest_event().filter(|oldest| *oldest >= start);
        overload.backlog.set_age(oldest.map_or(Duration::ZERO, |oldest| clock.now().since(oldest)));
    }
}

fn add_reflection(services: &mut Services, contracts: &'static [u8], names: &[&'static str]) -> anyhow::Result<()> {
    let builder = || {
        let mut builder = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(contracts)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            // The types of error details, so that clients with reflection can decode them.
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
            .with_service_name("grpc.health.v1.Health");
        for name in names {
            builder = builder.with_service_name(*name);
        }
        builder
    };
    // v1alpha is for older clients.
    services.add(builder().build_v1()?.max_decoding_message_size(MAX_REQUEST_BYTES));
    services.add(builder().build_v1alpha()?.max_decoding_message_size(MAX_REQUEST_BYTES));
    Ok(())
}
