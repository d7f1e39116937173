//! The engine: load many, decide each, save many.
//!
//! Commands and events for one aggregate type wait in one bounded queue. A writer thread takes the waiting jobs and, in
//! one transaction, loads their rows with one query per table, runs each pure rule in memory, saves all rows with
//! multi-row statements and commits; then it answers all callers. A rejected command writes nothing. If the transaction
//! fails, its jobs run again one by one, so that only the job at fault fails.

use std::sync::Arc;

use jumun_core::{Caller, Clock, Error, Time, reasons, request_context, task};
use tokio::sync::{broadcast, oneshot};

use crate::{
    Decision, Stored,
    job::{AppliedBatch, CommandOutcome, Decide, EventBatch, InboxEvent, Job},
    outbox::{BatchId, Outlet, Stall},
    ownership::{has_owner_columns, require_own, require_visible},
    queue::{Maintenance, Queue},
    request_key::RequestKey,
    row::{read_stored, select},
    shared::Shared,
    storage::{Connection, Database, Row, StorageError},
    writer,
};

/// How many changed states a slow watcher may lag behind before it gets an error that it missed some.
const MAX_UNSEEN_CHANGES: usize = 1024;

/// The single writer of an aggregate type in a process, and its readers.
pub struct Engine<A: Stored>(pub(crate) Arc<Shared<A>>);

impl<A: Stored> Clone for Engine<A> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<A: Stored> Engine<A> {
    /// Starts the writer thread. It finishes the queued jobs and ends when the engine is closed.
    pub fn start(database: Database, clock: Clock, outlet: Outlet) -> anyhow::Result<Self> {
        anyhow::ensure!(has_owner_columns::<A>(), "an owner column of {} is not one of its columns", A::TABLE.name);
        let shared = Arc::new(Shared {
            queue: Queue::new(database.schema())?,
            changes: broadcast::Sender::new(MAX_UNSEEN_CHANGES),
            database,
            clock,
            outlet,
            stall: Stall::default(),
            runtime: tokio::runtime::Handle::try_current()?,
        });
        let writer = shared.clone();
        task::spawn_thread(format!("{}-writer", shared.database.schema()), move || writer::run(&writer))?;
        Ok(Self(shared))
    }

    /// Runs a rule on the aggregate `id`, and returns after the commit. The rule runs even if the caller stops waiting.
    pub async fn execute(
        &self,
        id: impl Into<String>,
        request: Option<RequestKey>,
        decide: impl FnMut(Option<&A>) -> Result<Decision<A>, Error> + Send + 'static,
    ) -> Result<CommandOutcome<A>, Error> {
        self.submit(Job::command(id.into(), request, decide)).await
    }

    /// Like [`Engine::execute`], for an aggregate that likely does not exist yet: the writer assumes so instead of
    /// reading it, and reads it only if that was wrong.
    pub async fn begin(
        &self,
        id: impl Into<String>,
        decide: impl FnMut(Option<&A>) -> Result<Decision<A>, Error> + Send + 'static,
    ) -> Result<CommandOutcome<A>, Error> {
        self.submit(Job { likely_new: true, ..Job::command(id.into(), None, decide) }).await
    }

    /// Stores a new aggregate, which must belong to the caller. A retry returns the aggregate that the first request
    /// created, in its current state.
    pub async fn create(&self, request: RequestKey, state: A) -> Result<Arc<A>, Error> {
        require_own(&request_context::caller(), &state)?;
        let id = state.id().to_owned();
        let create = move |existing: Option<&A>| match existing {
            None => Decision::save(state.clone()),
            Some(_) => Ok(Decision::Leave),
        };
        let request = RequestKey { creates: true, ..request };
        let done = self.submit(Job { likely_new: true, ..Job::command(id, Some(request), create) }).await?;
        done.state.ok_or_else(|| Error::internal("the created aggregate is missing"))
    }

    /// Runs a rule on the aggregate with the resource name `name`, which must exist and be visible to the caller before
    /// and after.
    pub async fn command(
        &self,
        name: &str,
        request: Option<RequestKey>,
        rule: impl FnMut(&A) -> Result<Decision<A>, Error> + Send + 'static,
    ) -> Result<CommandOutcome<A>, Error> {
        self.execute(id_of(name), request, visible(request_context::caller(), name, rule)).await
    }

    /// The aggregate with the resource name `name`; NOT_FOUND if the caller may not see it.
    pub async fn get_named(&self, name: &str) -> Result<A, Error> {
        let state = self.get(id_of(name)).await?.ok_or_else(|| Error::not_found(name))?;
        require_visible(&request_context::caller(), &state, name)?;
        Ok(state)
    }

    /// Whether this request was performed before; fails if a different request used the same `request_id`. For commands
    /// that call other contexts before they run their rule.
    pub async fn remembers(&self, request: &RequestKey) -> Result<bool, Error> {
        let id = request.id.clone();
        let found = self.0.database.read(move |connection| {
            let rows = connection.query("SELECT fingerprint FROM requests WHERE id = ?", &[id.as_str().into()])?;
            rows.into_iter().next().map(|mut row| row.text()).transpose()
        });
        match found.await? {
            Some(fingerprint) if fingerprint != request.fingerprint => Err(request.parameters_differ()),
            found => Ok(found.is_some()),
        }
    }

    pub(crate) async fn submit(&self, mut job: Job<A>) -> Result<CommandOutcome<A>, Error> {
        let (answer, answered) = oneshot::channel();
        job.answer = Some(answer);
        self.0.queue.push(job)?;
        answered.await.map_err(|_| Error::new(&reasons::STOPPING, "the process is stopping"))?
    }

    /// The last committed state of an aggregate.
    pub async fn get(&self, id: &str) -> Result<Option<A>, Error> {
        let id = id.to_owned();
        let mut found = self.select(move |connection| {
            connection.query(&format!("{} WHERE id = ?", select::<A>()), &[id.as_str().into()])
        });
        Ok((&mut found).await?.pop())
    }

    /// The aggregates in the rows of a query.
    pub(crate) fn select(
        &self,
        mut query: impl FnMut(&mut Connection) -> Result<Vec<Row>, StorageError> + Send + 'static,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<Vec<A>, Error>> + Send + '_>> {
        Box::pin(self.0.database.read(move |connection| {
            query(connection)?.into_iter().map(|mut row| read_stored(&mut row).map(|(state, _)| state)).collect()
        }))
    }

    /// The states that this process commits from now on; [`crate::may_see`] says which of them a caller may see.
    pub fn changes(&self) -> broadcast::Receiver<Arc<A>> {
        self.0.changes.subscribe()
    }

    /// The current time of the engine's clock.
    pub fn now(&self) -> Time {
        self.0.clock.now()
    }

    /// The database that the engine writes.
    pub fn database(&self) -> &Database {
        &self.0.database
    }

    /// Applies an event through the inbox; without a `target` it changes no aggregate. See [`InboxEvent`].
    pub async fn apply(&self, target: Option<String>, event: InboxEvent, decide: Decide<A>) -> Result<(), Error> {
        self.submit(Job::event(target, event, decide)).await.map(drop)
    }

    /// Applies events one after another, with their consumer's step to the next position, in one transaction. After
    /// an error some of them may have been applied: the stored state says which.
    pub async fn apply_batch(&self, batch: EventBatch<A>) -> Result<AppliedBatch, Error> {
        let (answer, answered) = oneshot::channel();
        self.0.queue.push_batch(batch, answer)?;
        answered.await.map_err(|_| Error::new(&reasons::STOPPING, "the process is stopping"))?
    }

    /// Deletes outbox entries whose events the bus has acknowledged, as part of the next transaction.
    pub async fn mark_published(&self, batches: &[BatchId]) {
        self.0.queue.mark_published(batches).await;
    }

    /// Since when the relay of this engine's outbox is stalled.
    pub fn stall(&self) -> &Stall {
        &self.0.stall
    }

    /// Runs `work` on the engine's own tables, in a transaction of the writer thread.
    pub async fn maintain(&self, work: Maintenance) -> Result<(), Error> {
        self.0.queue.maintain(work).await
    }
}

/// The id in `collection/{id}`.
fn id_of(name: &str) -> &str {
    name.rsplit_once('/').map_or(name, |(_, id)| id)
}

/// Extends a rule for an existing aggregate: it fails with NOT_FOUND if the aggregate does not exist.
pub fn existing<A: Stored>(
    name: &str,
    mut rule: impl FnMut(&A) -> Result<Decision<A>, Error> + Send + 'static,
) -> impl FnMut(Option<&A>) -> Result<Decision<A>, Error> + Send + 'static {
    let name = name.to_owned();
    move |state| rule(state.ok_or_else(|| Error::not_found(&name))?)
}

/// Restricts a rule to aggregates that the caller may see before and after it.
fn visible<A: Stored>(
    caller: Caller,
    name: &str,
    mut rule: impl FnMut(&A) -> Result<Decision<A>, Error> + Send + 'static,
) -> impl FnMut(Option<&A>) -> Result<Decision<A>, Error> + Send + 'static {
    let resource_name = name.to_owned();
    existing(name, move |state: &A| {
        require_visible(&caller, state, &resource_name)?;
        let decision = rule(state)?;
        if let Decision::Save(after, _) = &decision {
            require_own(&caller, after)?;
        }
        Ok(decision)
    })
}
