//! Builds one context within a process: its engines, channels to other contexts, services, subscriptions and workers.

use std::{convert::Infallible, sync::Arc, time::Duration};

use engine::{
    Engine, EngineHandle, Stored,
    outbox::{self, Outlet, Stall},
};
use eventing::{Bus, Policy, Relay, Subscription, SubscriptionHandle, consume, record_identity};
use futures::future::BoxFuture;
use jumun_core::{Caller, Clock, Error, RoleTable};
use net::tls::ClientTls;
use rpc::{Bulkhead, Channel, Circuit, LocalStack};
use tokio::sync::watch;
use tonic::{body::Body, server::NamedService};
use tower::Service;

use crate::{
    context_setting::ContextSetting, service_registry::ServiceRegistry, settings::Settings, topology::Topology,
};

/// One round of a worker.
pub(crate) type Round = Arc<dyn Fn() -> BoxFuture<'static, Result<(), Error>> + Send + Sync>;

pub(crate) struct Worker {
    pub(crate) name: &'static str,
    pub(crate) every: Duration,
    pub(crate) round: Round,
}

/// Adds the parts of one context to a process.
pub struct ContextBuilder<'a> {
    pub(crate) name: &'static str,
    pub(crate) parts: &'a mut RuntimeParts,
}

/// The settings of a process, and the parts that its contexts have added.
pub(crate) struct RuntimeParts {
    pub(crate) topology: Topology,
    pub(crate) settings: Settings,
    pub(crate) circuits: Vec<Arc<Circuit>>,
    pub(crate) bulkheads: Vec<Arc<Bulkhead>>,
    pub(crate) clock: Clock,
    pub(crate) bus: Bus,
    /// The contexts that run in this process.
    pub(crate) local_contexts: Vec<&'static str>,
    /// The connection to the stack of this process, which exists once every context is built.
    pub(crate) local: LocalStack,
    pub(crate) roles: RoleTable,
    pub(crate) registry: ServiceRegistry,
    pub(crate) relays: Vec<BoxFuture<'static, ()>>,
    pub(crate) consumers: Vec<BoxFuture<'static, ()>>,
    pub(crate) workers: Vec<Worker>,
    pub(crate) engines: Vec<Arc<dyn EngineHandle>>,
    pub(crate) engines_without_events: Vec<Arc<dyn EngineHandle>>,
    pub(crate) subscriptions: Vec<Arc<dyn SubscriptionHandle>>,
    pub(crate) stopping: watch::Sender<bool>,
}

impl ContextBuilder<'_> {
    /// Starts the engine of the context's aggregate, and adds the relay that publishes its events.
    pub fn engine<A: Stored>(&mut self) -> anyhow::Result<Engine<A>> {
        self.engine_in(self.name)
    }

    /// The same for another aggregate of the context, in a database of its own.
    pub fn engine_in<A: Stored>(&mut self, schema: &str) -> anyhow::Result<Engine<A>> {
        let database = self.parts.topology.database(self.name, schema)?;
        let clock = self.parts.clock.clone();
        let engine = match &self.parts.bus {
            Bus::Local(bus) => {
                let committed = bus.add_history(database.clone());
                let engine = Engine::start(database, clock, Outlet::History(committed))?;
                self.parts.relays.push(Box::pin(record_identity(engine.clone())));
                engine
            }
            Bus::JetStream(bus) => {
                let (committed, receiver) = outbox::channel();
                let engine = Engine::start(database, clock, Outlet::Relay(committed))?;
                self.parts.relays.push(Box::pin(Relay::new(engine.clone(), bus).run(receiver)));
                engine
            }
        };
        self.parts.engines.push(Arc::new(engine.clone()));
        Ok(engine)
    }

    /// Starts an engine whose aggregate has no events, in a database of its own.
    pub fn engine_without_events<A: Stored>(&mut self, schema: &str) -> anyhow::Result<Engine<A>> {
        let database = self.parts.topology.database(self.name, schema)?;
        let outlet = Outlet::Relay(outbox::channel().0);
        let engine = Engine::start(database, self.parts.clock.clone(), outlet)?;
        self.parts.engines_without_events.push(Arc::new(engine.clone()));
        Ok(engine)
    }

    /// The channel to another context: local if it runs in this process, else to its address. Fails if it has none.
    pub fn channel(&mut self, context: &str) -> anyhow::Result<Channel> {
        let circuit = Arc::new(Circuit::new(self.name, context, self.parts.settings.overload_protection));
        self.parts.circuits.push(circuit.clone());
        if self.parts.local_contexts.contains(&context) {
            return Ok(Channel::local(self.parts.local.clone(), self.caller(), circuit));
        }
        let address = self.parts.topology.addresses.get(context).ok_or_else(|| {
            anyhow::anyhow!(
                "{} calls {context}, which does not run in this process: set JUMUN_{}_ADDR to its http://host:port",
                self.name,
                context.to_uppercase()
            )
        })?;
        let token = self.parts.topology.authentication.service_token(self.name);
        Channel::remote(address, &self.parts.topology.trust, token, circuit)
    }

    /// The principal of this context, for calls within the process.
    fn caller(&self) -> Caller {
        Caller::new(Arc::new(self.parts.roles.service_principal(self.name)))
    }

    /// A bulkhead that limits the concurrent calls to an external provider, by [`Settings::provider_calls`].
    pub fn bulkhead(&mut self, name: &'static str) -> Arc<Bulkhead> {
        let settings = &self.parts.settings;
        let bulkhead = Arc::new(Bulkhead::new(name, settings.provider_calls, settings.overload_protection));
        self.parts.bulkheads.push(bulkhead.clone());
        bulkhead
    }

    /// The channel to an optional context; None: it does not run in this process, and has no address.
    pub fn channel_if_known(&mut self, context: &str) -> anyhow::Result<Option<Channel>> {
        let known = self.parts.local_contexts.contains(&context) || self.parts.topology.addresses.contains_key(context);
        if known { self.channel(context).map(Some) } else { Ok(None) }
    }

    /// Adds a gRPC service.
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
        self.parts.registry.serve(service);
    }

    /// Subscribes to the events of another context, and applies them to `engine` by `policy`. The consumer is named
    /// `{schema}-on-{source}`.
    pub fn subscribe<A: Stored>(&mut self, source: &'static str, engine: &Engine<A>, policy: &Policy<A>) {
        let stall = Arc::new(Stall::default());
        let subscription = || Subscription {
            bus: self.parts.bus.clone(),
            engine: engine.clone(),
            source,
            name: format!("{}-on-{source}", engine.database().schema()),
            policy: policy.clone(),
            stopping: self.parts.stopping.subscribe(),
            stall: stall.clone(),
        };
        self.parts.subscriptions.push(Arc::new(subscription()));
        self.parts.consumers.push(Box::pin(consume(subscription())));
    }

    /// Adds a worker that runs at the start and then periodically, e.g. to finish what a crash interrupted.
    pub fn every<F>(&mut self, every: Duration, name: &'static str, round: impl Fn() -> F + Send + Sync + 'static)
    where
        F: Future<Output = Result<(), Error>> + Send + 'static,
    {
        self.parts.workers.push(Worker { name, every, round: Arc::new(move || Box::pin(round())) });
    }

    /// The value of a setting of this context, or its default.
    pub fn setting(&self, setting: &'static ContextSetting) -> &str {
        self.parts.topology.settings.get(&setting.flag()).map_or(setting.default, String::as_str)
    }

    /// The certificates that are trusted for TLS connections to external services.
    pub fn trust(&self) -> &ClientTls {
        &self.parts.topology.trust
    }

    /// The platform's clock.
    pub fn clock(&self) -> &Clock {
        &self.parts.clock
    }
}

impl RuntimeParts {
    /// The settings of a process to which no context was added.
    pub(crate) fn new(
        local_contexts: Vec<&'static str>,
        roles: RoleTable,
        topology: Topology,
        settings: Settings,
        clock: Clock,
        bus: Bus,
    ) -> Self {
        Self {
            topology,
            settings,
            circuits: Vec::new(),
            bulkheads: Vec::new(),
            clock,
            bus,
            local_contexts,
            local: LocalStack::default(),
            roles,
            registry: ServiceRegistry::default(),
            relays: Vec::new(),
            consumers: Vec::new(),
            workers: Vec::new(),
            engines: Vec::new(),
            engines_without_events: Vec::new(),
            subscriptions: Vec::new(),
            stopping: watch::Sender::new(false),
        }
    }
}
