//! The engine: load many, decide each, save many.
//!
//! Commands and events for one aggregate type wait in one bounded queue. A writer thread takes what is waiting, and in
//! one transaction loads what they name with one query per table, runs each pure decision in memory, saves all rows
//! with multi-row statements and commits; then it answers everybody. A refused command wrote nothing. When the
//! transaction fails, its jobs run again one by one, so that the guilty one fails alone.

use std::sync::Arc;

use jumun_core::{Caller, Clock, Error, Time, reasons, request_context, task};
use tokio::sync::{broadcast, oneshot};

use crate::{
    Decision, Stored,
    job::{Arrival, Decide, Done, Job},
    outbox::{Batch, Outgoing, Stall},
    ownership::{has_owner_columns, require_own, require_sight},
    queue::{Maintenance, Queue},
    request_key::RequestKey,
    row::{read_stored, select},
    shared::Shared,
    storage::{Connection, Database, Row, StorageError},
    writer,
};

/// Changed states that a slow watcher may be behind before it is told that it missed some.
const MAX_UNSEEN_CHANGES: usize = 1024;

/// The one writer of an aggregate type, and its readers.
pub struct Engine<A: Stored>(pub(crate) Arc<Shared<A>>);

impl<A: Stored> Clone for Engine<A> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<A: Stored> Engine<A> {
    /// Starts the writer thread. It ends, after finishing what is queued, when the engine is closed.
    pub fn start(database: Database, clock: Clock, outbox: Outgoing) -> anyhow::Result<Self> {
        anyhow::ensure!(has_owner_columns::<A>(), "an owner of {} is in none of its columns", A::TABLE.name);
        let shared = Arc::new(Shared {
            queue: Queue::new(database.schema())?,
            changes: broadcast::Sender::new(MAX_UNSEEN_CHANGES),
            database,
            clock,
            outbox,
            stall: Stall::default(),
            runtime: tokio::runtime::Handle::try_current()?,
        });
        let writer = shared.clone();
        task::spawn_thread(format!("{}-writer", shared.database.schema()), move || writer::run(&writer))?;
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
        require_own(&request_context::caller(), &state)?;
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
        self.execute(id_of(name), request, own(request_context::caller(), name, rule)).await
    }

    /// The aggregate that the caller calls `name`, when it may see it.
    pub async fn get_named(&self, name: &str) -> Result<A, Error> {
        let state = self.get(id_of(name)).await?.ok_or_else(|| Error::not_found(name))?;
        require_sight(&request_context::caller(), &state, name)?;
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
            Some(fingerprint) if fingerprint != request.fingerprint => Err(request.performed_differently()),
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

    /// Each state as this process commits it, from now on; [`crate::may_see`] tells which are for a caller.
    pub fn changes(&self) -> broadcast::Receiver<Arc<A>> {
        self.0.changes.subscribe()
    }

    /// The clock that the engine goes by.
    pub fn now(&self) -> Time {
        self.0.clock.now()
    }

    /// The database that the engine writes.
    pub fn database(&self) -> &Database {
        &self.0.database
    }

    /// Applies an event, or decides upon nothing where `target` is None; see [`Arrival`].
    pub async fn apply(&self, target: Option<String>, arrival: Arrival, decide: Decide<A>) -> Result<(), Error> {
        self.submit(Job::event(target, arrival, decide)).await.map(drop)
    }

    /// Strikes off batches whose events the bus has. It shares the next transaction.
    pub async fn mark_published(&self, batches: &[Batch]) {
        self.0.queue.mark_published(batches).await;
    }

    /// Whether the relay of this engine's outbox is stalled.
    pub fn stall(&self) -> &Stall {
        &self.0.stall
    }

    /// Works on the engine's own tables, in a transaction of the writer.
    pub async fn maintain(&self, work: Maintenance) -> Result<(), Error> {
        self.0.queue.maintain(work).await
    }
}

/// The id in `collection/{id}`.
fn id_of(name: &str) -> &str {
    name.rsplit_once('/').map_or(name, |(_, id)| id)
}

/// A rule for an aggregate that exists, as a decision that refuses when it does not.
pub fn existing<A: Stored>(
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
        require_sight(&caller, state, &called)?;
        let decision = rule(state)?;
        if let Decision::Save(after, _) = &decision {
            require_own(&caller, after)?;
        }
        Ok(decision)
    })
}
