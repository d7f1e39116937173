//! A small context with one saga: a task is done only when the other context agrees. The other context is a script.

use std::{
    cell::RefCell,
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use engine::{Aggregate, Decision, Engine, Owner, Query, RequestKey, StateName, Stored};
use jumun_core::{Error, Time};
use rpc::Channel;
use runtime::{Context, ContextBuilder};
use saga::{ABANDONED_AFTER, RequestSaga, Saga, SagaRunner};
use testkit::TestCluster;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("tests/protocol/migrations");
/// Long enough for a task to count as abandoned.
pub(super) const A_WHILE: Duration = ABANDONED_AFTER.saturating_add(Duration::from_millis(1));
/// More failures than open a circuit.
const MAX_FAILURES: usize = 1000;

jumun_core::reasons! {
    NOT_ANSWERED: Unavailable retry 2000 ms, "The other side did not answer.", "Repeat the request.";
    NOT_ASKED: Unavailable retry 60000 ms, "The other side was not asked.", "Repeat the request.";
}

thread_local! {
    /// The runner that this thread built last. Each test has its own thread.
    static BUILT: RefCell<Option<SagaRunner<Errand>>> = const { RefCell::new(None) };
}

engine::states! {
    pub(super) enum State {
        Pending = "PENDING",
        Withdrawing = "WITHDRAWING",
        Done = "DONE",
        Refused = "REFUSED",
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Task {
    pub(super) id: String,
    pub(super) state: State,
    pub(super) update_time: Time,
}

impl Aggregate for Task {
    type Event = ();
    type Resource = ();

    fn id(&self) -> &str {
        &self.id
    }

    fn resource(&self) {}
}

engine::record! {
    Task(id: String) in "tasks" { state, update_time }
}

impl Stored for Task {
    const OWNERS: &'static [Owner<Self>] = &[];
}

/// The answers of the other context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Yes,
    No,
    /// The task is unknown.
    Unknown,
    /// An outcome that changes nothing.
    Noted,
    /// There is no outcome yet.
    NotYet,
    /// No answer.
    Silence,
}

#[derive(Debug, Default)]
struct Script {
    /// The answers, call by call.
    answers: VecDeque<Answer>,
    /// The calls that were made: the kind of call, the task, and its committed state at that time.
    calls: Vec<String>,
}

/// The saga: its calls are answered by the script.
#[derive(Clone)]
pub(super) struct Errand {
    tasks: Engine<Task>,
    other_side: Channel,
    script: Arc<Mutex<Script>>,
}

impl Errand {
    async fn call(&self, call: &str, task: &Task) -> Result<Answer, Error> {
        let committed = self.tasks.get(&task.id).await?.expect("it is recorded before the call");
        let mut script = self.script.lock().unwrap_or_else(PoisonError::into_inner);
        script.calls.push(format!("{call} {} {}", task.id, committed.state.name()));
        match script.answers.pop_front().expect("no more calls") {
            Answer::Silence => Err(Error::new(&NOT_ANSWERED, "no answer")),
            answer => Ok(answer),
        }
    }

    /// Adds answers to the script.
    pub(super) fn answers(&self, answers: &[Answer]) {
        self.script.lock().unwrap_or_else(PoisonError::into_inner).answers.extend(answers);
    }

    /// The calls since the last use of this method.
    pub(super) fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.script.lock().unwrap_or_else(PoisonError::into_inner).calls)
    }

    /// Makes calls to the other context, which is down, until the circuit is open.
    pub(super) async fn open_circuit(&self) {
        let mut client = HealthClient::new(self.other_side.clone());
        for _ in 0..MAX_FAILURES {
            if self.other_side.check().is_err() {
                return;
            }
            client.check(HealthCheckRequest::default()).await.expect_err("it is down");
        }
        panic!("the circuit does not open");
    }
}

impl Saga for Errand {
    type Aggregate = Task;
    type Outcome = Answer;
    type Step = State;

    const RECOVERED_AT_ONCE: usize = 1;

    fn step(task: &Task) -> Option<State> {
        matches!(task.state, State::Pending | State::Withdrawing).then_some(task.state)
    }

    async fn ask(&self, task: &Task) -> Result<Answer, Error> {
        self.call("ask", task).await
    }

    async fn resolve(&self, task: &Task) -> Result<Option<Answer>, Error> {
        Ok(Some(self.call("resolve", task).await?).filter(|answer| *answer != Answer::NotYet))
    }

    fn apply(task: &Task, answer: &Answer, now: Time) -> Result<Decision<Task>, Error> {
        let state = match answer {
            Answer::Yes if task.state == State::Pending => State::Done,
            Answer::No => State::Refused,
            Answer::Unknown => State::Withdrawing,
            _ => return Ok(Decision::Leave),
        };
        Decision::save(Task { state, update_time: now, ..task.clone() })
    }

    fn unsettled(now: Time) -> Query {
        let unsettled = Query::new().is_any("state", &["PENDING", "WITHDRAWING"]);
        unsettled.before("update_time", now - ABANDONED_AFTER).order_by("update_time")
    }
}

impl RequestSaga for Errand {
    fn channel(&self) -> &Channel {
        &self.other_side
    }

    fn not_asked(&self, circuit_open: &Error) -> Error {
        Error::new(&NOT_ASKED, "not asked").override_retry_after(circuit_open.retry_after)
    }
}

fn build(builder: &mut ContextBuilder<'_>) -> anyhow::Result<()> {
    let tasks = builder.engine()?;
    let errand = Errand { tasks: tasks.clone(), other_side: builder.channel("other")?, script: Arc::default() };
    let runner = SagaRunner::new(&tasks, errand);
    runner.recover_regularly(builder, "errand-recovery");
    BUILT.with_borrow_mut(|built| *built = Some(runner));
    Ok(())
}

/// Starts a cluster in which the other context is down; returns it with the runner.
pub(super) async fn errands() -> (TestCluster, SagaRunner<Errand>) {
    let errand =
        Context { name: "errand", calls: &["other"], databases: vec![("errand", MIGRATIONS)], reasons: ALL, build };
    let other = Context { name: "other", calls: &[], databases: Vec::new(), reasons: &[], build: |_| Ok(()) };
    let mut cluster = TestCluster::new(admin::platform(), vec![errand, other]).await;
    cluster.restart_without(&["other"]).await;
    (cluster, BUILT.with_borrow(Clone::clone).expect("the errand context"))
}

/// The key of a request to do a task.
pub(super) fn key(id: &str) -> RequestKey {
    RequestKey::new("Do", id, &id.to_owned()).expect("a key")
}

/// Requests a task; returns its state.
pub(super) async fn request(runner: &SagaRunner<Errand>, id: &str) -> Result<State, Error> {
    let task = Task { id: id.to_owned(), state: State::Pending, update_time: runner.engine().now() };
    runner.run(key(id), task).await.map(|task| task.state)
}

/// The stored state of a task.
pub(super) async fn state(runner: &SagaRunner<Errand>, id: &str) -> Option<State> {
    runner.engine().get(id).await.expect("readable").map(|task| task.state)
}
