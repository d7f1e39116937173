//! The cluster that tests run in: contexts in one process, with their own databases and bus, and a clock that tests
//! move. Events are delivered by themselves; workers run only when a test advances the clock.
//!
//! By default everything is embedded (SQLite, the local bus). With `JUMUN_TEST_BACKEND=servers` tests use the
//! PostgreSQL server at `JUMUN_TEST_POSTGRES_URL` and the JetStream server at `JUMUN_TEST_NATS_URL`.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    thread,
    time::{Duration, Instant},
};

use engine::{outbox, storage::Database};
use eventing::{Bus, JetStreamBus, LocalBus};
use futures::future::join_all;
use jumun_core::{Clock, Envelope, Time, task};
use rpc::GrpcStack;
use runtime::{Context, HttpListener, Platform, Runtime, Settings, Topology, listener};
use tokio::net::TcpListener;
use transcode::Origins;

use crate::backend::{self, Backend};

/// How long a cluster may take to settle, and how often it is checked.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(20);
const SETTLE_POLL: Duration = Duration::from_millis(5);
/// An address without a listener, for contexts that are down.
const NOWHERE: &str = "http://127.0.0.1:1";

/// Running contexts. A test must end with [`TestCluster::finish`]; a cluster that is dropped before panics.
pub struct TestCluster {
    platform: Platform,
    contexts: Vec<Context>,
    settings: Settings,
    topology: Topology,
    clock: Clock,
    bus: Bus,
    runtime: Runtime,
    backend: Backend,
    finished: bool,
}

impl TestCluster {
    /// Starts a cluster with these contexts.
    pub async fn new(platform: Platform, contexts: Vec<Context>) -> Self {
        Self::with_settings(platform, contexts, BTreeMap::new()).await
    }

    /// The same, with settings of contexts, by the flag of the setting.
    pub async fn with_settings(platform: Platform, contexts: Vec<Context>, settings: BTreeMap<String, String>) -> Self {
        Self::with(platform, contexts, Settings::default(), settings).await
    }

    /// The same, with settings of the process.
    pub async fn with(
        platform: Platform,
        contexts: Vec<Context>,
        settings: Settings,
        of_contexts: BTreeMap<String, String>,
    ) -> Self {
        let (backend, mut topology, bus) = backend::prepare(&contexts).await;
        topology.settings = of_contexts;
        topology.migrate(&contexts).expect("the databases take the schemas");
        let clock = Clock::manual();
        let runtime = start(&platform, &contexts, &[], &settings, &topology, &clock, &bus).await;
        Self { platform, contexts, settings, topology, clock, bus, runtime, backend, finished: false }
    }

    /// The server stack, as the channel of a tonic client.
    pub fn channel(&self) -> GrpcStack {
        self.runtime.stack()
    }

    /// The HTTP service of the process, to be called without a network.
    pub fn listener(&self) -> HttpListener {
        self.runtime.listener()
    }

    /// Serves on a free port of the loopback interface for as long as the test runs. Web pages of these origins may
    /// call.
    pub async fn listen(&self, origins: &Origins) -> SocketAddr {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = socket.local_addr().expect("an address");
        let (http, overload) = (self.runtime.listener().shared_with(origins), self.runtime.overload());
        task::spawn(listener::serve(socket, None, http, overload, std::future::pending()));
        address
    }

    /// The time of the cluster's clock.
    pub fn now(&self) -> Time {
        self.clock.now()
    }

    /// The bus, for tests that start another process.
    pub fn bus(&self) -> &Bus {
        &self.bus
    }

    /// The broker, for tests that publish and receive events themselves. They run on servers only.
    pub fn broker(&self) -> &JetStreamBus {
        match &self.bus {
            Bus::JetStream(broker) => broker,
            Bus::Local(_) => panic!("this test needs a broker: `make test` runs it"),
        }
    }

    /// Makes an event known to consumers that no context has committed: publishes it on the broker, or adds it to the
    /// history.
    pub async fn announce(&self, event: Envelope) {
        match &self.bus {
            Bus::JetStream(broker) => {
                let start = Instant::now();
                // The consumer, which creates the stream, may not have subscribed yet.
                while broker.publish(&event).await.expect("a connection").await.is_err() {
                    assert!(start.elapsed() < SETTLE_TIMEOUT, "the broker takes no event");
                    tokio::time::sleep(SETTLE_POLL).await;
                }
            }
            Bus::Local(_) => {
                let sql = "INSERT INTO events (aggregate, number, kind, payload, time, traceparent) \
                           VALUES (?, ?, ?, ?, ?, ?)";
                let database = self.database(&event.context, &event.context);
                let binds = [
                    event.aggregate.as_str().into(),
                    event.number.into(),
                    event.kind.as_str().into(),
                    event.payload.as_slice().into(),
                    event.time.0.into(),
                    event.traceparent.as_deref().into(),
                ];
                database.connect().expect("a database").execute(sql, &binds).expect("a new event");
            }
        }
    }

    /// One of a context's databases, for tests that read or change it.
    pub fn database(&self, context: &str, schema: &str) -> Database {
        self.topology.database(context, schema).expect("a context of this cluster")
    }

    /// Moves the clock, runs every worker once, and waits until the cluster is settled.
    pub async fn advance(&self, by: Duration) {
        self.clock.advance(by);
        if let Err(error) = self.runtime.run_workers_once().await {
            tracing::debug!(%error, "a worker tries again next time");
        }
        self.settle().await;
    }

    /// Waits until every event is published and applied; after 20 s it panics with the events that are left.
    pub async fn settle(&self) {
        let start = Instant::now();
        while !self.is_settled().await {
            assert!(start.elapsed() < SETTLE_TIMEOUT, "the cluster does not settle: {}", self.left().await);
            tokio::time::sleep(SETTLE_POLL).await;
        }
    }

    /// Restarts the process with every context.
    pub async fn restart(&mut self) {
        self.restart_without(&[]).await;
    }

    /// Restarts the process without some of the contexts, which then cannot be reached.
    pub async fn restart_without(&mut self, down: &[&str]) {
        self.runtime.stop().await;
        if matches!(self.bus, Bus::Local(_)) {
            // The local bus is part of the process.
            self.bus = Bus::Local(LocalBus::default());
        }
        self.runtime =
            start(&self.platform, &self.contexts, down, &self.settings, &self.topology, &self.clock, &self.bus).await;
    }

    /// Starts another process on the same databases, without some of the contexts. It publishes to, and consumes from,
    /// `bus`.
    pub async fn replica_without(&self, down: &[&str], bus: &Bus) -> Runtime {
        start(&self.platform, &self.contexts, down, &self.settings, &self.topology, &self.clock, bus).await
    }

    /// Deletes every event from the broker. The embedded bus stores none.
    pub async fn lose_streams(&self) {
        self.backend.lose_streams(&self.contexts).await;
    }

    /// Waits until the cluster is settled, stops it, and asserts that no event is unpublished and none a dead letter.
    pub async fn finish(mut self) {
        self.settle().await;
        let left = self.left().await;
        self.finished = true;
        self.runtime.stop().await;
        self.backend.clear(&self.contexts).await;
        assert!(left.is_empty(), "the cluster is left with {left}");
    }

    /// Consumers cause further events, so nothing may have been committed between checking the outboxes and the
    /// consumers.
    async fn is_settled(&self) -> bool {
        let before = self.committed_events().await;
        self.is_bus_known().await && self.runtime.is_settled().await && self.committed_events().await == before
    }

    /// Whether the relays have recorded the identity of this bus. Before that, they may have to publish every event
    /// again.
    async fn is_bus_known(&self) -> bool {
        let is_known = async |database: &Database| {
            let Ok(identity) = self.bus.identity(database.schema()).await else { return false };
            count(database, "SELECT COUNT(*) FROM bus_identity WHERE identity = ?", &identity.0).await > 0
        };
        join_all(self.runtime.databases().map(is_known)).await.into_iter().all(|is_known| is_known)
    }

    async fn committed_events(&self) -> i64 {
        let events = |database| count(database, "SELECT COUNT(*) FROM events WHERE aggregate <> ?", "");
        join_all(self.runtime.databases().map(events)).await.into_iter().sum()
    }

    /// Each context's name, with the name of each of its databases.
    fn schemas(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let schemas = |context: &Context| context.databases.iter().map(|(schema, _)| *schema).collect::<Vec<_>>();
        self.contexts.iter().flat_map(move |context| schemas(context).into_iter().map(|schema| (context.name, schema)))
    }

    /// Describes unpublished and unsettled events and dead letters; empty when there are none.
    async fn left(&self) -> String {
        let mut left = Vec::new();
        for (context, schema) in self.schemas() {
            let database = self.database(context, schema);
            let unpublished = outbox::status(&database).await.expect("a readable outbox").unpublished;
            if unpublished > 0 {
                left.push(format!("{unpublished} events that {schema} did not publish"));
            }
            for reason in dead_letters(&database).await {
                left.push(format!("a dead letter of {schema}: {reason}"));
            }
            // Most contexts have no subscription to most others.
            let unsettled = self.contexts.iter().map(async |source| {
                let consumer = format!("{schema}-on-{}", source.name);
                let unsettled = self.bus.unsettled(source.name, &consumer).await.ok().filter(|count| *count > 0)?;
                Some(format!("{unsettled} events that {consumer} did not settle"))
            });
            left.extend(join_all(unsettled).await.into_iter().flatten());
        }
        left.join("; ")
    }
}

impl Drop for TestCluster {
    fn drop(&mut self) {
        assert!(self.finished || thread::panicking(), "a test ends with `cluster.finish().await`");
    }
}

async fn start(
    platform: &Platform,
    contexts: &[Context],
    down: &[&str],
    settings: &Settings,
    topology: &Topology,
    clock: &Clock,
    bus: &Bus,
) -> Runtime {
    let up = contexts.iter().filter(|context| !down.contains(&context.name));
    let copy = |context: &Context| Context { databases: Vec::new(), ..*context };
    let up: Vec<_> = up.map(copy).collect();
    let mut topology = topology.clone();
    topology.addresses = down.iter().map(|context| ((*context).to_owned(), NOWHERE.to_owned())).collect();
    let mut runtime = Runtime::build(platform, &up, topology, settings.clone(), clock.clone(), bus.clone())
        .expect("contexts that fit together");
    runtime.start().await;
    runtime
}

async fn count(database: &Database, sql: &'static str, bind: &str) -> i64 {
    let bind = bind.to_owned();
    let read = database.read(move |connection| connection.query(sql, &[bind.as_str().into()])?.remove(0).int());
    read.await.expect("a readable database")
}

async fn dead_letters(database: &Database) -> Vec<String> {
    let sql = "SELECT consumer, event, reason FROM dead_letters ORDER BY seq";
    let read = database.read(move |connection| {
        let rows = connection.query(sql, &[])?;
        rows.into_iter().map(|mut row| Ok(format!("{} {}: {}", row.text()?, row.text()?, row.text()?))).collect()
    });
    read.await.expect("readable dead letters")
}
