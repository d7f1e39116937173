//! The wiring of one context: its engines, its channels to other contexts, its services, subscriptions and workers.

use std::{convert::Infallible, sync::Arc, time::Duration};

use engine::{Engine, EngineHandle, Stored, outbox};
use eventing::{Bus, Policy, Relay, Subscription, SubscriptionHandle};
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

/// A subscription that is made first, and then runs for as long as the process.
pub(crate) type Subscribing = Box<dyn FnOnce() -> BoxFuture<'static, BoxFuture<'static, ()>> + Send>;

/// What a worker does each time.
pub(crate) type Round = Arc<dyn Fn() -> BoxFuture<'static, Result<(), Error>> + Send + Sync>;

pub(crate) struct Worker {
    pub(crate) name: &'static str,
    pub(crate) every: Duration,
    pub(crate) round: Round,
}

/// The wiring of one context within a process.
pub struct ContextBuilder<'a> {
    pub(crate) name: &'static str,
    pub(crate) wiring: &'a mut Wiring,
}

pub(crate) struct Wiring {
    pub(crate) topology: Topology,
    pub(crate) settings: Settings,
    pub(crate) circuits: Vec<Arc<Circuit>>,
    pub(crate) bulkheads: Vec<Arc<Bulkhead>>,
    pub(crate) clock: Clock,
    pub(crate) bus: Bus,
    pub(crate) here: Vec<&'static str>,
    /// The way back into this process, which leads somewhere once everything is built.
    pub(crate) local: LocalStack,
    pub(crate) roles: RoleTable,
    pub(crate) registry: ServiceRegistry,
    pub(crate) relays: Vec<BoxFuture<'static, ()>>,
    pub(crate) subscribing: Vec<Subscribing>,
    pub(crate) workers: Vec<Worker>,
    pub(crate) engines: Vec<Arc<dyn EngineHandle>>,
    pub(crate) silent: Vec<Arc<dyn EngineHandle>>,
    pub(crate) subscriptions: Vec<Arc<dyn SubscriptionHandle>>,
    pub(crate) stopping: watch::Sender<bool>,
}

impl ContextBuilder<'_> {
    /// The engine of the context's aggregate; what it announces goes to the bus.
    pub fn engine<A: Stored>(&mut self) -> anyhow::Result<Engine<A>> {
        self.engine_in(self.name)
    }

    /// The engine of another aggregate of the context, in a database of its own beside the context's.
    pub fn engine_in<A: Stored>(&mut self, schema: &str) -> anyhow::Result<Engine<A>> {
        let database = self.wiring.topology.database(self.name, schema)?;
        let (outgoing, fresh) = outbox::channel();
        let engine = Engine::start(database, self.wiring.clock.clone(), outgoing)?;
        self.wiring.relays.push(Box::pin(Relay::new(engine.clone(), &self.wiring.bus).run(fresh)));
        self.wiring.engines.push(Arc::new(engine.clone()));
        Ok(engine)
    }

    /// An engine that announces nothing, in a database of its own beside the context's.
    pub fn silent_engine<A: Stored>(&mut self, schema: &str) -> anyhow::Result<Engine<A>> {
        let database = self.wiring.topology.database(self.name, schema)?;
        let engine = Engine::start(database, self.wiring.clock.clone(), outbox::channel().0)?;
        self.wiring.silent.push(Arc::new(engine.clone()));
        Ok(engine)
    }

    /// The way to another context: within this process, when it runs here.
    pub fn channel(&mut self, context: &str) -> anyhow::Result<Channel> {
        let circuit = Arc::new(Circuit::new(self.name, context, self.wiring.settings.overload_protection));
        self.wiring.circuits.push(circuit.clone());
        if self.wiring.here.contains(&context) {
            return Ok(Channel::local(self.wiring.local.clone(), self.caller(), circuit));
        }
        let address = self.wiring.topology.addresses.get(context).ok_or_else(|| {
            anyhow::anyhow!(
                "{} calls {context}, which does not run here: set JUMUN_{}_ADDR to its http://host:port",
                self.name,
                context.to_uppercase()
            )
        })?;
        let token = self.wiring.topology.authentication.service_token(self.name);
        Channel::remote(address, &self.wiring.topology.trust, token, circuit)
    }

    /// The principal of this context, for contexts of the same process.
    fn caller(&self) -> Caller {
        Caller::new(Arc::new(self.wiring.roles.service_principal(self.name)))
    }

    /// Limits the calls to a provider outside that are under way at once.
    pub fn bulkhead(&mut self, name: &'static str) -> Arc<Bulkhead> {
        let settings = &self.wiring.settings;
        let bulkhead = Arc::new(Bulkhead::new(name, settings.provider_calls, settings.overload_protection));
        self.wiring.bulkheads.push(bulkhead.clone());
        bulkhead
    }

    /// The way to a context that this one can do without; None: it does not run here, and nobody said where it does.
    pub fn channel_if_known(&mut self, context: &str) -> anyhow::Result<Option<Channel>> {
        let known = self.wiring.here.contains(&context) || self.wiring.topology.addresses.contains_key(context);
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
        self.wiring.registry.serve(service);
    }

    /// Hears what another context announces.
    #[expect(clippy::async_yields_async, reason = "a consumer subscribes first, and runs later")]
    pub fn subscribe<A: Stored>(&mut self, source: &'static str, engine: &Engine<A>, policy: &Policy<A>) {
        let subscription = || Subscription {
            bus: self.wiring.bus.clone(),
            engine: engine.clone(),
            source,
            name: format!("{}-on-{source}", engine.database().schema()),
            policy: policy.clone(),
            stopping: self.wiring.stopping.subscribe(),
        };
        self.wiring.subscriptions.push(Arc::new(subscription()));
        let subscription = subscription();
        self.wiring.subscribing.push(Box::new(move || {
            Box::pin(async move {
                let incoming = subscription.subscribe().await;
                let running: BoxFuture<'static, ()> = Box::pin(subscription.run(incoming));
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
        self.wiring.topology.settings.get(&setting.flag()).map_or(setting.default, String::as_str)
    }

    /// The certificates that are trusted when an outside party is called over TLS.
    pub fn trust(&self) -> &ClientTls {
        &self.wiring.topology.trust
    }

    /// The platform's clock.
    pub fn clock(&self) -> &Clock {
        &self.wiring.clock
    }
}

impl Wiring {
    /// Nothing is wired yet.
    pub(crate) fn new(
        here: Vec<&'static str>,
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
            here,
            local: LocalStack::default(),
            roles,
            registry: ServiceRegistry::default(),
            relays: Vec::new(),
            subscribing: Vec::new(),
            workers: Vec::new(),
            engines: Vec::new(),
            silent: Vec::new(),
            subscriptions: Vec::new(),
            stopping: watch::Sender::new(false),
        }
    }
}
