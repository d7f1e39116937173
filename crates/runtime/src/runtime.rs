//! Puts contexts together into a process: wires them, starts them, serves them, and ends without losing anything.

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
    AdmissionControl, Faults, GrpcStack, MAX_REQUEST_BYTES, Meters, MethodTable, Overload, Services, Signatures,
    StackParts,
};
use tokio::{net::TcpListener, sync::watch};
use transcode::{HttpApi, Origins};

use crate::{
    context::Context,
    context_builder::{ContextBuilder, Subscribing, Wiring, Worker},
    http_listener::HttpListener,
    listener,
    metrics_page::{MetricsPage, Sources},
    platform::{Operations, Platform},
    service_registry::ServiceRegistry,
    settings::Settings,
    topology::Topology,
};

/// How long a process keeps serving after it said that it is going: time for load balancers to hear it.
const LAME_DUCK: Duration = Duration::from_millis(500);
/// How long the relays may take with the last events.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);
const FLUSH_POLL: Duration = Duration::from_millis(20);
/// How long the consumers may take with what they have begun.
const FINISH_TIMEOUT: Duration = Duration::from_secs(2);

/// The contexts of one process, wired.
pub struct Runtime {
    stack: GrpcStack,
    listener: HttpListener,
    overload: Arc<Overload>,
    health: tonic_health::server::HealthReporter,
    services: Vec<&'static str>,
    bus: Bus,
    relays: Vec<BoxFuture<'static, ()>>,
    subscribing: Vec<Subscribing>,
    workers: Vec<Worker>,
    engines: Vec<Arc<dyn EngineHandle>>,
    /// Engines that announce nothing.
    silent: Vec<Arc<dyn EngineHandle>>,
    subscriptions: Vec<Arc<dyn SubscriptionHandle>>,
    stopping: watch::Sender<bool>,
    consumers: JoinSet<()>,
    running: JoinSet<()>,
}

impl Runtime {
    /// Wires contexts. Nothing runs yet but the writers, who have nothing to do.
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
        let here = contexts.iter().map(|context| context.name).collect();
        let mut wiring = Wiring::new(here, contracts.roles, topology, settings, clock.clone(), bus.clone());
        for context in contexts {
            (context.build)(&mut ContextBuilder { name: context.name, wiring: &mut wiring })?;
        }
        let Wiring { topology, settings, circuits, bulkheads, local, mut registry, engines, silent, .. } = wiring;
        let version = &settings.service_version;
        let overload = Arc::new(Overload::new(settings.overload_protection, methods.clone(), circuits, bulkheads));
        let faults = settings.drills.then(|| {
            let services: Vec<_> = registry.names.iter().chain(platform.services).copied().collect();
            Arc::new(Faults::of(&services, methods.clone()))
        });
        let operations = Operations {
            engines: engines.clone(),
            subscriptions: wiring.subscriptions.clone(),
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
        let signatures = Arc::new(Signatures::new(version, &methods, &names));
        let stack = GrpcStack::new(services, StackParts { methods, signatures, admission, authorizer, faults });
        local.connect(&stack);
        let api = HttpApi::new(stack.clone(), contracts, &names, platform.about)?;
        let sources = Sources {
            overload: overload.clone(),
            engines: engines.clone(),
            silent: silent.clone(),
            subscriptions: wiring.subscriptions.clone(),
            bus: bus.clone(),
            clock,
        };
        let page = MetricsPage::new(metrics, sources, version, platform.about.version)?;
        Ok(Self {
            listener: HttpListener::new(stack.clone(), api, page),
            stack,
            overload,
            health,
            services: names,
            bus,
            relays: wiring.relays,
            subscribing: wiring.subscribing,
            workers: wiring.workers,
            engines,
            silent,
            subscriptions: wiring.subscriptions,
            stopping: wiring.stopping,
            consumers: JoinSet::new(),
            running: JoinSet::new(),
        })
    }

    /// Lets web pages of these origins call.
    pub fn share_with(&mut self, origins: &Origins) {
        self.listener = self.listener.clone().shared_with(origins);
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
                let mut ticks = interval(every);
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
            sleep(LAME_DUCK).await;
        };
        listener::serve(listener, tls, self.listener.clone(), self.overload.clone(), leave).await;
        self.stop().await;
        Ok(())
    }

    /// Gives the last events to the bus, within a bound, and ends what runs.
    pub async fn stop(&mut self) {
        let until = Instant::now() + FLUSH_TIMEOUT;
        self.flush(until).await;
        self.stopping.send_replace(true);
        let finish = async { while self.consumers.join_next().await.is_some() {} };
        if timeout(FINISH_TIMEOUT, finish).await.is_err() {
            self.consumers.shutdown().await;
        }
        // What the consumers did at last leads to events, too.
        self.flush(until).await;
        self.running.shutdown().await;
        self.bus.flush().await;
        for engine in self.engines.iter().chain(&self.silent) {
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

    /// Whether every event is published and applied by the consumers of this process.
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

    /// The databases of the contexts that announce.
    pub fn databases(&self) -> impl Iterator<Item = &Database> {
        self.engines.iter().map(|engine| engine.database())
    }

    /// What limits the process.
    pub fn overload(&self) -> Arc<Overload> {
        self.overload.clone()
    }

    /// The gRPC services of the process, without a network.
    pub fn stack(&self) -> GrpcStack {
        self.stack.clone()
    }

    /// Everything that the process serves over HTTP, without a network.
    pub fn listener(&self) -> HttpListener {
        self.listener.clone()
    }
}

fn add_reflection(services: &mut Services, contracts: &'static [u8], names: &[&'static str]) -> anyhow::Result<()> {
    let builder = || {
        let mut builder = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(contracts)
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
