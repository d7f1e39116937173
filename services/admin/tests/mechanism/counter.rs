//! Two small contexts: counters, and mirrors that record the events of counters.

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
    /// The engines that this thread built last. Each test has its own thread.
    static BUILT: RefCell<Built> = RefCell::default();
}

/// Counters whose events cannot be applied until [`cure`].
static POISONED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Mirrors that block their process when they are first read.
static HELD_UP: Mutex<BTreeMap<String, HoldUp>> = Mutex::new(BTreeMap::new());

/// Counters for whose odd events the mirror's policy is slow, with the number of calls of the policy.
static SLOW_POLICIES: Mutex<BTreeMap<String, usize>> = Mutex::new(BTreeMap::new());
const POLICY_DELAY: Duration = Duration::from_millis(20);

/// Signals that the mirror was read, and the signal to go on.
type HoldUp = (oneshot::Sender<()>, mpsc::Receiver<()>);

/// An amount on which the mirror decides to change nothing.
pub(super) const LEFT: i64 = 1_700;
/// An amount whose event the mirror's policy ignores.
pub(super) const IGNORED: i64 = 1_300;

/// The engines of one process.
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
    /// Adds `by`, with an event. Zero is refused.
    pub(super) fn add(existing: Option<&Counter>, id: &str, by: i64) -> Result<Decision<Counter>, Error> {
        if by == 0 {
            return Err(Error::new(&NOTHING_TO_ADD, "zero cannot be added"));
        }
        let zero = Counter { id: id.to_owned(), value: 0, note: None };
        let before = existing.unwrap_or(&zero);
        Decision::announce(Counter { value: before.value + by, ..before.clone() }, Added { by })
    }
}

/// The event of a counter.
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

/// The amounts that were added to one counter, in the order in which the events were applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mirror {
    pub(super) id: String,
    pub(super) applied: Vec<i64>,
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
    Mirror(id: String) in "mirrors" { applied as json }
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

fn build_counter(builder: &mut ContextBuilder<'_>) -> anyhow::Result<()> {
    let engine = builder.engine()?;
    BUILT.with_borrow_mut(|built| built.counters = Some(engine));
    Ok(())
}

fn build_mirror(builder: &mut ContextBuilder<'_>) -> anyhow::Result<()> {
    let engine = builder.engine()?;
    let plain = policy(|added: Added, message| effect_of(added.by, message));
    let slow: Policy<Mirror> = Arc::new(move |message| {
        let effect = plain(message.clone());
        Box::pin(async move {
            if has_slow_policy(&message) {
                tokio::time::sleep(POLICY_DELAY).await;
            }
            effect.await
        })
    });
    builder.subscribe("counter", &engine, &slow);
    BUILT.with_borrow_mut(|built| built.mirrors = Some(engine));
    Ok(())
}

fn has_slow_policy(message: &Envelope) -> bool {
    let mut slow_policies = SLOW_POLICIES.lock().unwrap_or_else(PoisonError::into_inner);
    slow_policies.get_mut(&message.aggregate).is_some_and(|calls| {
        *calls += 1;
        message.number % 2 == 1
    })
}

/// Makes the mirror's policy slow for the odd events of a counter.
pub(super) fn slow_down_policy(id: &str) {
    SLOW_POLICIES.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned(), 0);
}

/// How often the policy was called for events of a counter.
pub(super) fn policy_calls(id: &str) -> usize {
    SLOW_POLICIES.lock().unwrap_or_else(PoisonError::into_inner)[id]
}

/// The effect of an event: records the amount, unless the counter is poisoned.
fn effect_of(by: i64, message: &Envelope) -> Result<EventEffect<Mirror>, Error> {
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
        let mut applied = mirror.map(|mirror| mirror.applied.clone()).unwrap_or_default();
        applied.push(by);
        Decision::save(Mirror { id: id.clone(), applied })
    }))
}

/// Blocks the first process that reads this mirror. Returns the signal that it did, and the one that lets it go on.
pub(super) fn hold_up(id: &str) -> (oneshot::Receiver<()>, mpsc::Sender<()>) {
    let ((reading, has_read), (go_on, may_go_on)) = (oneshot::channel(), mpsc::channel());
    HELD_UP.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned(), (reading, may_go_on));
    (has_read, go_on)
}

/// How long a process is blocked between reading and writing at most. On SQLite no other process can write meanwhile.
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
    /// The engines of the process that was built last.
    pub(super) fn last() -> Self {
        BUILT.with_borrow(Clone::clone)
    }

    pub(super) fn counters(&self) -> Engine<Counter> {
        self.counters.clone().expect("a counter")
    }

    pub(super) async fn add(&self, id: &str, by: i64) -> Result<CommandOutcome<Counter>, Error> {
        self.add_once(id, by, None).await
    }

    /// Adds `by`, idempotently by request id.
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

    /// The amounts that the mirror recorded.
    pub(super) async fn applied(&self, id: &str) -> Vec<i64> {
        let mirrors = self.mirrors.clone().expect("a mirror");
        mirrors.get(id).await.expect("a readable mirror").map(|mirror| mirror.applied).unwrap_or_default()
    }

    /// Waits up to 10 s until the mirror has recorded exactly these amounts.
    pub(super) async fn until_applied(&self, id: &str, expected: &[i64]) {
        let start = Instant::now();
        while self.applied(id).await != expected {
            let applied = self.applied(id).await;
            assert!(start.elapsed() < Duration::from_secs(10), "{applied:?} was applied, not {expected:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Asserts for 400 ms that the mirror has recorded exactly these amounts.
    pub(super) async fn only_applied(&self, id: &str, expected: &[i64]) {
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(400) {
            assert_eq!(self.applied(id).await, expected);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Starts a cluster with both contexts; returns it with its engines.
pub(super) async fn counting_cluster() -> (TestCluster, Built) {
    let cluster = TestCluster::new(admin::platform(), vec![counter(), mirror()]).await;
    (cluster, Built::last())
}

pub(super) fn admin(cluster: &TestCluster) -> AdminServiceClient<GrpcStack> {
    AdminServiceClient::new(cluster.channel())
}

/// An event of a counter, as the relay publishes it.
pub(super) fn added(id: &str, number: i64, by: i64) -> Envelope {
    Envelope {
        context: "counter".to_owned(),
        sequence: 0,
        aggregate: id.to_owned(),
        number,
        kind: "Added".to_owned(),
        payload: prost::Message::encode_to_vec(&Added { by }),
        time: Time(1_000_000 + number),
        traceparent: None,
        causation: None,
    }
}
