//! Two small contexts: counters, and mirrors that write down what they hear of them.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError, mpsc},
    time::{Duration, Instant},
};

use contracts::admin::v1::admin_service_client::AdminServiceClient;
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use engine::{Aggregate, CommandOutcome, Decision, DeferredIndex, Engine, FilterField, Owner, RequestKey, Stored};
use eventing::{EventEffect, Policy, policy};
use jumun_core::EventKind;
use jumun_core::{Envelope, Error, Time};
use rpc::GrpcStack;
use runtime::{Context, ContextBuilder};
use testkit::TestCluster;
use tokio::sync::oneshot;

const COUNTER: EmbeddedMigrations = embed_migrations!("tests/mechanism/migrations/counter");
const MIRROR: EmbeddedMigrations = embed_migrations!("tests/mechanism/migrations/mirror");

pub(super) const FILTER: &[FilterField] = &[FilterField { name: "note", check: |_| Ok(()) }];

jumun_core::reasons! {
    NOTHING_TO_ADD: FailedPrecondition, "Zero is to be counted.", "Count something.";
}

thread_local! {
    /// The engines of the host that this thread, which is one test's, built last.
    static BUILT: RefCell<Built> = RefCell::default();
}

/// Counters whose events no mirror can apply, until they are cured.
static POISONED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Mirrors that hold their process up, the first time that it has read them.
static HELD_UP: Mutex<BTreeMap<String, HoldUp>> = Mutex::new(BTreeMap::new());

/// Counters of whose first, third … event the mirror's policy thinks for a while, and how many events it was asked about.
static PONDERED: Mutex<BTreeMap<String, usize>> = Mutex::new(BTreeMap::new());
const THOUGHT: Duration = Duration::from_millis(20);

/// Tells that it was read, and waits until it may go on.
type HoldUp = (oneshot::Sender<()>, mpsc::Receiver<()>);

/// Added to a counter, it leaves the mirror as it is.
pub(super) const LEFT: i64 = 1_700;
/// Added to a counter, no mirror hears of it.
pub(super) const IGNORED: i64 = 1_300;

/// The engines of one host.
#[derive(Clone, Default)]
pub(super) struct Built {
    counters: Option<Engine<Counter>>,
    mirrors: Option<Engine<Mirror>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Counter {
    pub(super) id: String,
    pub(super) value: i64,
    pub(super) note: Option<String>,
}

impl Counter {
    /// Counts on by `by`, and announces it; by zero is refused.
    pub(super) fn add(existing: Option<&Counter>, id: &str, by: i64) -> Result<Decision<Counter>, Error> {
        if by == 0 {
            return Err(Error::new(&NOTHING_TO_ADD, "zero is not counted"));
        }
        let zero = Counter { id: id.to_owned(), value: 0, note: None };
        let before = existing.unwrap_or(&zero);
        Decision::announce(Counter { value: before.value + by, ..before.clone() }, Added { by })
    }
}

/// What a counter announces.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Added {
    #[prost(int64, tag = "1")]
    pub(super) by: i64,
}

impl EventKind for Added {
    fn kind(&self) -> &'static str {
        "Added"
    }
}

impl Aggregate for Counter {
    type Event = Added;
    type Resource = i64;

    fn id(&self) -> &str {
        &self.id
    }

    fn resource(&self) -> i64 {
        self.value
    }
}

engine::record! {
    Counter(id: String) in "counters" { value, note }
}

impl Stored for Counter {
    const OWNERS: &'static [Owner<Self>] = &[];

    const DEFERRED_INDEX: Option<DeferredIndex> = Some(DeferredIndex { name: "counters_by_note", column: "note" });
}

/// What was heard of one counter, in the order of hearing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mirror {
    pub(super) id: String,
    pub(super) heard: Vec<i64>,
}

impl Aggregate for Mirror {
    type Event = ();
    type Resource = ();

    fn id(&self) -> &str {
        &self.id
    }

    fn resource(&self) {}
}

engine::record! {
    Mirror(id: String) in "mirrors" { heard as json }
}

impl Stored for Mirror {
    const OWNERS: &'static [Owner<Self>] = &[];
}

pub(super) fn counter() -> Context {
    Context { name: "counter", calls: &[], databases: vec![("counter", COUNTER)], reasons: ALL, build: build_counter }
}

pub(super) fn mirror() -> Context {
    Context { name: "mirror", calls: &[], databases: vec![("mirror", MIRROR)], reasons: &[], build: build_mirror }
}

fn build_counter(unit: &mut ContextBuilder<'_>) -> anyhow::Result<()> {
    let engine = unit.engine()?;
    BUILT.with_borrow_mut(|built| built.counters = Some(engine));
    Ok(())
}

fn build_mirror(unit: &mut ContextBuilder<'_>) -> anyhow::Result<()> {
    let engine = unit.engine()?;
    let reflects = policy(|added: Added, message| reflect(added.by, message));
    let ponders: Policy<Mirror> = Arc::new(move |message| {
        let reflected = reflects(message.clone());
        Box::pin(async move {
            if is_pondered(&message) {
                tokio::time::sleep(THOUGHT).await;
            }
            reflected.await
        })
    });
    unit.subscribe("counter", &engine, &ponders);
    BUILT.with_borrow_mut(|built| built.mirrors = Some(engine));
    Ok(())
}

fn is_pondered(message: &Envelope) -> bool {
    let mut pondered = PONDERED.lock().unwrap_or_else(PoisonError::into_inner);
    pondered.get_mut(&message.aggregate).is_some_and(|asked| {
        *asked += 1;
        message.number % 2 == 1
    })
}

/// Lets the mirror's policy think about a counter from now on.
pub(super) fn ponder(id: &str) {
    PONDERED.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned(), 0);
}

/// How many events of it the policy was asked about.
pub(super) fn asked_about(id: &str) -> usize {
    PONDERED.lock().unwrap_or_else(PoisonError::into_inner)[id]
}

/// Writes down what was counted, unless it is poisoned.
fn reflect(by: i64, message: &Envelope) -> Result<EventEffect<Mirror>, Error> {
    let id = message.aggregate.clone();
    if poisoned().contains(&id) {
        return Err(Error::unreadable_event("poisoned"));
    }
    if by == IGNORED {
        return Ok(EventEffect::Ignore);
    }
    Ok(EventEffect::decide(id.clone(), move |mirror: Option<&Mirror>| {
        wait_if_held_up(&id);
        if by == LEFT {
            return Ok(Decision::Leave);
        }
        let mut heard = mirror.map(|mirror| mirror.heard.clone()).unwrap_or_default();
        heard.push(by);
        Decision::save(Mirror { id: id.clone(), heard })
    }))
}

/// Holds up whoever reads this mirror first: tells when, and waits to be told to go on.
pub(super) fn hold_up(id: &str) -> (oneshot::Receiver<()>, mpsc::Sender<()>) {
    let ((reading, has_read), (go_on, may_go_on)) = (oneshot::channel(), mpsc::channel());
    HELD_UP.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned(), (reading, may_go_on));
    (has_read, go_on)
}

/// How long a process is held up between reading and writing. SQLite lets another one write only after it.
pub(super) fn held_up_at_most() -> Duration {
    if testkit::on_servers() { Duration::from_secs(4) } else { Duration::from_millis(300) }
}

fn wait_if_held_up(id: &str) {
    let held_up = HELD_UP.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    if let Some((reading, may_go_on)) = held_up {
        // The test may have ended.
        let _ = reading.send(());
        let _ = may_go_on.recv_timeout(held_up_at_most());
    }
}

fn poisoned() -> std::sync::MutexGuard<'static, BTreeSet<String>> {
    POISONED.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn poison(id: &str) {
    poisoned().insert(id.to_owned());
}

pub(super) fn cure(id: &str) {
    poisoned().remove(id);
}

impl Built {
    /// The engines of the host that was built last.
    pub(super) fn last() -> Self {
        BUILT.with_borrow(Clone::clone)
    }

    pub(super) fn counters(&self) -> Engine<Counter> {
        self.counters.clone().expect("a counter")
    }

    pub(super) async fn add(&self, id: &str, by: i64) -> Result<CommandOutcome<Counter>, Error> {
        self.add_once(id, by, None).await
    }

    /// Counts on, for a request.
    pub(super) async fn add_for(&self, id: &str, by: i64, request_id: &str) -> Result<CommandOutcome<Counter>, Error> {
        self.add_once(id, by, RequestKey::new("Add", request_id, &by)).await
    }

    async fn add_once(&self, id: &str, by: i64, key: Option<RequestKey>) -> Result<CommandOutcome<Counter>, Error> {
        let counted = id.to_owned();
        self.counters().execute(id, key, move |counter| Counter::add(counter, &counted, by)).await
    }

    pub(super) async fn value(&self, id: &str) -> i64 {
        self.counters().get(id).await.expect("a readable counter").map_or(0, |counter| counter.value)
    }

    /// What the mirror wrote down.
    pub(super) async fn heard(&self, id: &str) -> Vec<i64> {
        let mirrors = self.mirrors.clone().expect("a mirror");
        mirrors.get(id).await.expect("a readable mirror").map(|mirror| mirror.heard).unwrap_or_default()
    }

    /// Waits until the mirror has heard so much.
    pub(super) async fn hears(&self, id: &str, expected: &[i64]) {
        let start = Instant::now();
        while self.heard(id).await != expected {
            let heard = self.heard(id).await;
            assert!(start.elapsed() < Duration::from_secs(10), "{heard:?} was heard, not {expected:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// For a while, the mirror hears no more than this.
    pub(super) async fn hears_only(&self, id: &str, expected: &[i64]) {
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(400) {
            assert_eq!(self.heard(id).await, expected);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// A world with both contexts, and its engines.
pub(super) async fn counting_world() -> (TestCluster, Built) {
    let world = TestCluster::new(admin::platform(), vec![counter(), mirror()]).await;
    (world, Built::last())
}

pub(super) fn admin(world: &TestCluster) -> AdminServiceClient<GrpcStack> {
    AdminServiceClient::new(world.channel())
}

/// An event as the counter announces it.
pub(super) fn added(id: &str, number: i64, by: i64) -> Envelope {
    Envelope {
        context: "counter".to_owned(),
        aggregate: id.to_owned(),
        number,
        kind: "Added".to_owned(),
        payload: prost::Message::encode_to_vec(&Added { by }),
        time: Time(1_000_000 + number),
        traceparent: None,
        causation: None,
    }
}
