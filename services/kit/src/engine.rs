//! The engine: load many, decide each, save many.
//!
//! Commands and events for one aggregate type wait in one bounded queue. A writer thread takes what is waiting, and in
//! one transaction loads what they name with one query per table, runs each pure decision in memory, saves all rows
//! with multi-row statements and commits; then it answers everybody. A refused command wrote nothing. When the
//! transaction fails, its jobs run again one by one, so that the guilty one fails alone.

mod batch;
mod late_index;
mod once;
mod queue;
mod writer;

use std::{sync::Arc, thread, time::Duration};

use futures::{Stream, stream};
use tokio::sync::{Notify, broadcast, oneshot};

pub use late_index::LateIndex;
pub(crate) use late_index::has_value;
pub(crate) use queue::Maintenance;
pub use queue::{MAX_BATCH, MAX_QUEUED};

use crate::{
    Caller, Clock, Decision, Error, Message, Stored, Time, ambient,
    auth::has_owner_columns,
    metrics::batch_sizes,
    outbox::Stall,
    reasons,
    storage::{Connection, Database, Row, StorageError},
    telemetry,
};
use batch::columns;
use once::Pairing;
use queue::Queue;

/// Changed states that a slow watcher may be behind before it is told that it missed some.
const MAX_UNSEEN_CHANGES: usize = 1024;

/// A pure rule: looks at the present state (None: there is no such aggregate) and decides.
/// It may run more than once, so it must give the same decision for the same state.
pub type Decide<A> = Box<dyn FnMut(Option<&A>) -> Result<Decision<A>, Error> + Send>;

/// Names a request, so that its repetition gets the first answer.
#[derive(Clone, Debug)]
pub struct RequestKey {
    /// `Method/request_id`, and whose request it is: nobody is given another's answer.
    pub(crate) id: String,
    /// Tells a repetition from another request under the same id.
    pub(crate) fingerprint: String,
    /// What is remembered is the id of what the request created, not the answer.
    pub(crate) creates: bool,
    /// What it has to do with another request.
    pub(crate) pairing: Pairing,
}

impl RequestKey {
    /// The key of a request whose `request_id` was checked; None when the caller gave none.
    pub fn new(method: &str, request_id: &str, request: &impl prost::Message) -> Option<Self> {
        (!request_id.is_empty()).then(|| Self {
            id: match ambient::caller().scope() {
                Some(subject) => format!("{method}/{request_id}/{subject}"),
                None => format!("{method}/{request_id}"),
            },
            fingerprint: crate::name::fingerprint(request),
            creates: false,
            pairing: Pairing::Alone,
        })
    }
}

/// What became of a job.
#[derive(Debug)]
pub struct Done<A> {
    /// The aggregate as it is now; None when it does not exist.
    pub state: Option<Arc<A>>,
    /// The first answer to the same request, when this was a repetition.
    replay: Option<Vec<u8>>,
}

impl<A: Stored> Done<A> {
    /// The answer for the caller, marked with `idempotency-replayed` when it was given before.
    pub fn into_response(self) -> Result<tonic::Response<A::Resource>, tonic::Status> {
        let Some(bytes) = self.replay else {
            let state = self.state.ok_or_else(|| Error::internal("a command left nothing behind"))?;
            return Ok(tonic::Response::new(state.resource()));
        };
        let resource = prost::Message::decode(bytes.as_slice()).map_err(Error::internal)?;
        let mut response = tonic::Response::new(resource);
        response.metadata_mut().insert("idempotency-replayed", tonic::metadata::MetadataValue::from_static("true"));
        Ok(response)
    }
}

/// Where an event came in, and what is to be written about it.
pub(crate) struct Arrival {
    /// Who hears it, e.g. "store-on-order".
    pub(crate) consumer: String,
    /// The event.
    pub(crate) message: Arc<Message>,
    /// Why it cannot be applied, when that is known already.
    pub(crate) poison: Option<Error>,
    /// The dead letter that this is a new attempt of.
    pub(crate) redriven: Option<i64>,
}

/// One thing to do.
pub(crate) struct Job<A: Stored> {
    /// The aggregate it is about; None for an event that the consumer ignores.
    pub(crate) target: Option<String>,
    /// Whether it most likely begins that, which is not there yet: it is looked for when this turns out to be wrong.
    pub(crate) begins: bool,
    pub(crate) request: Option<RequestKey>,
    pub(crate) arrival: Option<Arrival>,
    pub(crate) decide: Decide<A>,
    pub(crate) traceparent: Option<String>,
    pub(crate) answer: Option<oneshot::Sender<Result<Done<A>, Error>>>,
}

impl<A: Stored> Job<A> {
    fn command(
        id: String,
        request: Option<RequestKey>,
        decide: impl FnMut(Option<&A>) -> Result<Decision<A>, Error> + Send + 'static,
    ) -> Self {
        Self {
            target: Some(id),
            begins: false,
            request,
            arrival: None,
            decide: Box::new(decide),
            traceparent: telemetry::traceparent(),
            answer: None,
        }
    }
}

/// The one writer of an aggregate type, and its readers.
pub struct Engine<A: Stored>(Arc<Shared<A>>);

pub(crate) struct Shared<A: Stored> {
    pub(crate) database: Database,
    pub(crate) clock: Clock,
    pub(crate) queue: Queue<A>,
    changes: broadcast::Sender<Arc<A>>,
    outbox: Outgoing,
    pub(crate) stall: Stall,
    /// Where the callers wait.
    runtime: tokio::runtime::Handle,
}

/// The events of one transaction.
#[derive(Debug, Default)]
pub(crate) struct Committed {
    /// What they are called together while they wait for the bus.
    pub(crate) batch: Arc<str>,
    pub(crate) messages: Vec<Message>,
}

/// What was just committed, on its way to the relay.
#[derive(Clone)]
pub(crate) struct Outgoing {
    pub(crate) fresh: tokio::sync::mpsc::Sender<Committed>,
    /// Rung when `fresh` was full: the relay finds the rest in the table.
    pub(crate) overflow: Arc<Notify>,
}

impl<A: Stored> Clone for Engine<A> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<A: Stored> Engine<A> {
    /// Starts the writer thread. It ends, after finishing what is queued, when the engine is closed.
    pub(crate) fn start(database: Database, clock: Clock, outbox: Outgoing) -> anyhow::Result<Self> {
        anyhow::ensure!(has_owner_columns::<A>(), "an owner of {} is in none of its columns", A::TABLE.name);
        let shared = Arc::new(Shared {
            queue: Queue::new(batch_sizes(database.schema())?),
            changes: broadcast::Sender::new(MAX_UNSEEN_CHANGES),
            database,
            clock,
            outbox,
            stall: Stall::default(),
            runtime: tokio::runtime::Handle::try_current()?,
        });
        let writer = shared.clone();
        thread::Builder::new()
            .name(format!("{}-writer", shared.database.schema()))
            .spawn(move || writer::run(&writer))?;
        Ok(Self(shared))
    }

    /// Decides upon the aggregate `id` and answers after the commit. It happens even when the caller stops waiting.
    pub async fn execute(
        &self,
        id: impl Into<String>,
        request: Option<RequestKey>,
        decide: impl FnMut(Option<&A>) -> Result<Decision<A>, Error> + Send + 'static,
    ) -> Result<Done<A>, Error> {
        self.submit(Job::command(id.into(), request, decide)).await
    }

    /// The same, of an aggregate that this most likely begins.
    pub async fn begin(
        &self,
        id: impl Into<String>,
        decide: impl FnMut(Option<&A>) -> Result<Decision<A>, Error> + Send + 'static,
    ) -> Result<Done<A>, Error> {
        self.submit(Job { begins: true, ..Job::command(id.into(), None, decide) }).await
    }

    /// Writes a new aggregate down, the caller's own; a repetition of the request gets the one that the first created, as it is now.
    pub async fn create(&self, request: RequestKey, state: A) -> Result<Arc<A>, Error> {
        ambient::caller().require_own(&state)?;
        let id = state.id().to_owned();
        let create = move |existing: Option<&A>| match existing {
            None => Decision::save(state.clone()),
            Some(_) => Ok(Decision::Leave),
        };
        let request = RequestKey { creates: true, ..request };
        let done = self.submit(Job { begins: true, ..Job::command(id, Some(request), create) }).await?;
        done.state.ok_or_else(|| Error::internal("what was created is not there"))
    }

    /// Decides upon an aggregate that must exist and be the caller's, before and after: `name` is what it calls it.
    pub async fn command(
        &self,
        name: &str,
        request: Option<RequestKey>,
        rule: impl FnMut(&A) -> Result<Decision<A>, Error> + Send + 'static,
    ) -> Result<Done<A>, Error> {
        self.execute(id_of(name), request, own(ambient::caller(), name, rule)).await
    }

    /// The aggregate that the caller calls `name`, when it may see it.
    pub async fn get_named(&self, name: &str) -> Result<A, Error> {
        let state = self.get(id_of(name)).await?.ok_or_else(|| Error::not_found(name))?;
        ambient::caller().require_sight(&state, name)?;
        Ok(state)
    }

    /// Whether a request came before; refuses another one under the same `request_id`. It is for those who do something
    /// elsewhere before they decide here.
    pub async fn remembers(&self, request: &RequestKey) -> Result<bool, Error> {
        let id = request.id.clone();
        let found = self.0.database.read(move |connection| {
            let rows = connection.query("SELECT fingerprint FROM requests WHERE id = ?", &[id.as_str().into()])?;
            rows.into_iter().next().map(|mut row| row.text()).transpose()
        });
        match found.await? {
            Some(fingerprint) if fingerprint != request.fingerprint => Err(request.done_otherwise()),
            found => Ok(found.is_some()),
        }
    }

    pub(crate) async fn submit(&self, mut job: Job<A>) -> Result<Done<A>, Error> {
        let (answer, answered) = oneshot::channel();
        job.answer = Some(answer);
        self.0.queue.push(job)?;
        answered.await.map_err(|_| Error::new(&reasons::STOPPING, "the process is stopping"))?
    }

    /// The aggregate as it was last committed.
    pub async fn get(&self, id: &str) -> Result<Option<A>, Error> {
        let id = id.to_owned();
        let mut found = self.select(move |connection| {
            connection.query(&format!("{} WHERE id = ?", select::<A>()), &[id.as_str().into()])
        });
        Ok((&mut found).await?.pop())
    }

    /// The aggregates that a query of this table finds.
    pub(crate) fn select(
        &self,
        mut query: impl FnMut(&mut Connection) -> Result<Vec<Row>, StorageError> + Send + 'static,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<Vec<A>, Error>> + Send + '_>> {
        Box::pin(self.0.database.read(move |connection| {
            query(connection)?.into_iter().map(|mut row| read_stored(&mut row).map(|(state, _)| state)).collect()
        }))
    }

    /// The aggregates `WHERE condition`, at most `limit` of them.
    pub async fn find(
        &self,
        condition: &'static str,
        binds: Vec<crate::storage::Value<'static>>,
        limit: usize,
    ) -> Result<Vec<A>, Error> {
        self.select(move |connection| {
            connection.query(&format!("{} WHERE {condition} LIMIT {limit}", select::<A>()), &binds)
        })
        .await
    }

    /// Each state as this process commits it, from now on; [`Caller::may_see`] tells which are for a caller.
    pub fn changes(&self) -> broadcast::Receiver<Arc<A>> {
        self.0.changes.subscribe()
    }

    /// The aggregate now and after each change, until `is_last`. It ends when there is no such aggregate.
    pub fn watch(
        &self,
        id: &str,
        is_last: fn(&A) -> bool,
    ) -> Result<impl Stream<Item = Result<A, Error>> + Send + use<A>, Error> {
        if self.0.changes.receiver_count() >= MAX_WATCHERS {
            return Err(Error::new(&reasons::TOO_MANY_WATCHERS, "too many callers are watching"));
        }
        let watch = Watch { engine: self.clone(), id: id.to_owned(), changes: self.changes(), seen: None, is_last };
        Ok(stream::unfold(Some(watch), |watch| async { watch?.next().await }))
    }

    /// The clock that the engine goes by.
    pub fn now(&self) -> Time {
        self.0.clock.now()
    }

    /// The database that the engine writes.
    pub fn database(&self) -> &Database {
        &self.0.database
    }

    pub(crate) fn shared(&self) -> &Arc<Shared<A>> {
        &self.0
    }
}

/// Callers that watch at once.
const MAX_WATCHERS: usize = 1000;
/// The id in `collection/{id}`.
fn id_of(name: &str) -> &str {
    name.rsplit_once('/').map_or(name, |(_, id)| id)
}

/// A rule for an aggregate that exists, as a decision that refuses when it does not.
pub(crate) fn existing<A: Stored>(
    name: &str,
    mut rule: impl FnMut(&A) -> Result<Decision<A>, Error> + Send + 'static,
) -> impl FnMut(Option<&A>) -> Result<Decision<A>, Error> + Send + 'static {
    let name = name.to_owned();
    move |state| rule(state.ok_or_else(|| Error::not_found(&name))?)
}

/// A rule for what the caller may see, whose outcome it may see, too.
fn own<A: Stored>(
    caller: Caller,
    name: &str,
    mut rule: impl FnMut(&A) -> Result<Decision<A>, Error> + Send + 'static,
) -> impl FnMut(Option<&A>) -> Result<Decision<A>, Error> + Send + 'static {
    let called = name.to_owned();
    existing(name, move |state: &A| {
        caller.require_sight(state, &called)?;
        let decision = rule(state)?;
        if let Decision::Save(after, _) = &decision {
            caller.require_own(after)?;
        }
        Ok(decision)
    })
}

/// How often a watcher looks for changes that another process made.
const WATCH_POLL: Duration = Duration::from_secs(1);

struct Watch<A: Stored> {
    engine: Engine<A>,
    id: String,
    changes: broadcast::Receiver<Arc<A>>,
    /// What was sent last.
    seen: Option<A>,
    is_last: fn(&A) -> bool,
}

impl<A: Stored> Watch<A> {
    async fn next(mut self) -> Option<(Result<A, Error>, Option<Self>)> {
        loop {
            let found = match self.seen {
                None => self.engine.get(&self.id).await,
                Some(_) => self.changed().await,
            };
            match found {
                Err(error) => return Some((Err(error), None)),
                Ok(None) => return None,
                Ok(Some(state)) => {
                    if self.seen.as_ref().map(A::to_row) != Some(state.to_row()) {
                        let is_last = (self.is_last)(&state);
                        self.seen = Some(state.clone());
                        return Some((Ok(state), (!is_last).then_some(self)));
                    }
                }
            }
        }
    }

    /// The state after a change of this process, or as it is after a while.
    async fn changed(&mut self) -> Result<Option<A>, Error> {
        let change = tokio::time::timeout(WATCH_POLL, async {
            loop {
                match self.changes.recv().await {
                    Ok(state) if state.id() == self.id => return Some(state),
                    Ok(_) => {}
                    // Some were missed: the stored state makes up for them.
                    Err(_) => return None,
                }
            }
        });
        match change.await {
            Ok(Some(state)) => Ok(Some(A::clone(&state))),
            Ok(None) | Err(_) => self.engine.get(&self.id).await,
        }
    }
}

impl<A: Stored> Shared<A> {
    fn announce(&self, written: &[(String, (Arc<A>, Standing))], events: Committed) {
        if self.changes.receiver_count() > 0 {
            for (_, (state, _)) in written {
                // Nobody listening any more is no failure.
                let _ = self.changes.send(state.clone());
            }
        }
        if !events.messages.is_empty() && self.outbox.fresh.try_send(events).is_err() {
            self.outbox.overflow.notify_one();
        }
    }
}

/// `SELECT id, version, last_event, <columns> FROM <table>`.
pub(crate) fn select<A: Stored>() -> String {
    let names = columns::<A>().iter().map(|column| column.name).collect::<Vec<_>>().join(", ");
    format!("SELECT {names} FROM {}", A::TABLE.name)
}

/// Where an aggregate's row stands: its version, and the number of its last event.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Standing {
    pub(crate) version: i64,
    pub(crate) last_event: i64,
}

pub(crate) fn read_stored<A: Stored>(row: &mut Row) -> Result<(A, Standing), StorageError> {
    let id = row.text()?;
    let standing = Standing { version: row.int()?, last_event: row.int()? };
    Ok((A::from_row(id, row)?, standing))
}
