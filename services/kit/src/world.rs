//! The world that tests run in: contexts in one process, on databases and a bus of their own, with a clock that tests
//! move. Nothing happens by itself but the delivery of events.
//!
//! By default everything is embedded (SQLite, the local bus). With `JUMUN_TEST_BACKEND=servers` it is PostgreSQL and
//! JetStream, where `JUMUN_TEST_POSTGRES_URL` and `JUMUN_TEST_NATS_URL` say.

mod columns;
mod ground;

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    thread,
    time::{Duration, Instant},
};

pub use columns::{columns_of, tables};
pub use ground::on_servers;

use crate::{
    Clock, Context, Edge, Host, Places, Settings, Time,
    bus::{Bus, LocalBus},
    http::{Doors, Origins},
    outbox, server,
    storage::Database,
};
use futures::future::join_all;
use ground::Ground;
use tokio::net::TcpListener;

/// How long a world may take to settle, and how often it is looked at.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(20);
const SETTLE_POLL: Duration = Duration::from_millis(5);
/// Where nobody listens: the address of a context that is left out.
const NOWHERE: &str = "http://127.0.0.1:1";

/// Contexts at work. A test ends with [`World::finish`].
pub struct World {
    contexts: Vec<Context>,
    settings: Settings,
    places: Places,
    clock: Clock,
    bus: Bus,
    host: Host,
    ground: Ground,
    finished: bool,
}

impl World {
    /// A new world in which these contexts run.
    pub async fn new(contexts: Vec<Context>) -> Self {
        Self::with_settings(contexts, BTreeMap::new()).await
    }

    /// The same, where the contexts are told this, by the settings' flags.
    pub async fn with_settings(contexts: Vec<Context>, told: BTreeMap<String, String>) -> Self {
        Self::with(contexts, Settings::default(), told).await
    }

    /// The same, in a process that is told how it is to serve.
    pub async fn with(contexts: Vec<Context>, settings: Settings, told: BTreeMap<String, String>) -> Self {
        let (ground, mut places, bus) = ground::prepare(&contexts).await;
        places.settings = told;
        places.migrate(&contexts).expect("the databases take the schemas");
        let clock = Clock::manual();
        let host = start(&contexts, &[], &settings, &places, &clock, &bus).await;
        Self { contexts, settings, places, clock, bus, host, ground, finished: false }
    }

    /// The way in: a tonic client can be made of it.
    pub fn channel(&self) -> Edge {
        self.host.edge()
    }

    /// What comes in over HTTP, without a network.
    pub fn doors(&self) -> Doors {
        self.host.doors()
    }

    /// Serves every door on a port of loopback, for as long as the test runs; pages of these origins may call.
    pub async fn listen(&self, origins: &Origins) -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (doors, overload) = (self.host.doors().shared_with(origins), self.host.overload());
        tokio::spawn(server::serve(listener, None, doors, overload, std::future::pending()));
        address
    }

    /// The present instant.
    pub fn now(&self) -> Time {
        self.clock.now()
    }

    /// The bus, to slip something in.
    pub fn bus(&self) -> &Bus {
        &self.bus
    }

    /// One of a context's databases, to look into it.
    pub fn database(&self, context: &str, schema: &str) -> Database {
        self.places.database(context, schema).expect("a context of this world")
    }

    /// Moves the clock, lets every worker have its turn, and settles.
    pub async fn advance(&self, by: Duration) {
        self.clock.advance(by);
        if let Err(error) = self.host.run_workers_once().await {
            tracing::debug!(%error, "a worker tries again next time");
        }
        self.settle().await;
    }

    /// Waits until every event is published and applied; panics with what is left when that takes too long.
    pub async fn settle(&self) {
        let start = Instant::now();
        while !self.is_settled().await {
            assert!(start.elapsed() < SETTLE_TIMEOUT, "the world does not settle: {}", self.left().await);
            tokio::time::sleep(SETTLE_POLL).await;
        }
    }

    /// Ends the process and starts it again, with every context.
    pub async fn restart(&mut self) {
        self.restart_without(&[]).await;
    }

    /// Ends the process and starts it again without some of the contexts: they are down, and cannot be reached.
    pub async fn restart_without(&mut self, down: &[&str]) {
        self.host.stop().await;
        if matches!(self.bus, Bus::Local(_)) {
            // It lives and dies with its process.
            self.bus = Bus::Local(LocalBus::default());
        }
        self.host = start(&self.contexts, down, &self.settings, &self.places, &self.clock, &self.bus).await;
    }

    /// Another process on the same databases, without some of the contexts; it hears and feeds `bus`.
    pub async fn replica_without(&self, down: &[&str], bus: &Bus) -> Host {
        start(&self.contexts, down, &self.settings, &self.places, &self.clock, bus).await
    }

    /// The broker loses every event; the embedded bus has none to lose.
    pub async fn lose_streams(&self) {
        self.ground.lose_streams(&self.contexts).await;
    }

    /// Settles, and asserts that nothing is left behind: no event unpublished, none put aside.
    pub async fn finish(mut self) {
        self.settle().await;
        let left = self.left().await;
        self.finished = true;
        self.host.stop().await;
        self.ground.clear(&self.contexts).await;
        assert!(left.is_empty(), "the world is left with {left}");
    }

    /// Events beget events: nothing may have been committed between looking at the outboxes and at the consumers.
    async fn is_settled(&self) -> bool {
        let before = self.committed_events().await;
        self.is_fed().await && self.host.is_settled().await && self.committed_events().await == before
    }

    /// Whether the relays know that this is their bus: before that, they may have to feed it again.
    async fn is_fed(&self) -> bool {
        let is_fed = async |database: &Database| {
            let Ok(identity) = self.bus.identity(database.schema()).await else { return false };
            count(database, "SELECT COUNT(*) FROM bus_identity WHERE identity = ?", &identity.0).await > 0
        };
        join_all(self.host.databases().map(is_fed)).await.into_iter().all(|is_fed| is_fed)
    }

    async fn committed_events(&self) -> i64 {
        let events = |database| count(database, "SELECT COUNT(*) FROM events WHERE aggregate <> ?", "");
        join_all(self.host.databases().map(events)).await.into_iter().sum()
    }

    /// Each context's name, with the name of each of its databases.
    fn schemas(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let schemas = |context: &Context| context.databases.iter().map(|(schema, _)| *schema).collect::<Vec<_>>();
        self.contexts.iter().flat_map(move |context| schemas(context).into_iter().map(|schema| (context.name, schema)))
    }

    /// What waits or was put aside, in words; empty when there is nothing.
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
            // Most contexts do not hear most others.
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

impl Drop for World {
    fn drop(&mut self) {
        assert!(self.finished || thread::panicking(), "a test ends with `world.finish().await`");
    }
}

async fn start(
    contexts: &[Context],
    down: &[&str],
    settings: &Settings,
    places: &Places,
    clock: &Clock,
    bus: &Bus,
) -> Host {
    let up = contexts.iter().filter(|context| !down.contains(&context.name));
    let copy = |context: &Context| Context { databases: Vec::new(), ..*context };
    let up: Vec<_> = up.map(copy).collect();
    let mut places = places.clone();
    places.addresses = down.iter().map(|context| ((*context).to_owned(), NOWHERE.to_owned())).collect();
    let mut host =
        Host::build(&up, places, settings.clone(), clock.clone(), bus.clone()).expect("contexts that fit together");
    host.start().await;
    host
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
