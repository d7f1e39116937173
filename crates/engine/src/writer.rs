//! The writer thread: runs one transaction after another, and handles failed ones.

use std::{sync::Arc, time::Duration};

use jumun_core::{Error, task, time::block_for};

use crate::{
    Stored,
    batch::{Batch, BatchOutcome, Parked, StateCache},
    deferred_index::MAX_WAITING_ENTRIES,
    job::Job,
    outbox,
    queue::QueuedWork,
    shared::Shared,
    storage::{Connection, StorageError},
};

/// Attempts to run a single job whose aggregate other replicas keep changing.
const MAX_STALE_ATTEMPTS: usize = 8;
/// Batches that read all their targets after one wrongly assumed that a target did not exist.
const PESSIMISTIC_BATCHES: usize = 64;
/// Attempts to connect to the database before the waiting jobs are rejected, and the pause between them.
const MAX_CONNECT_ATTEMPTS: usize = 4;
const CONNECT_PAUSE: Duration = Duration::from_millis(250);

pub(crate) fn run<A: Stored>(shared: &Shared<A>) {
    let mut writer = Writer {
        shared,
        connection: None,
        cache: StateCache::new(),
        pessimistic_batches: 0,
        unmerged: MAX_WAITING_ENTRIES - 1,
    };
    while let Some(work) = shared.queue.take(&shared.clock) {
        writer.write(work);
    }
}

struct Writer<'a, A: Stored> {
    shared: &'a Shared<A>,
    connection: Option<Connection>,
    cache: StateCache<A>,
    /// Batches that still read all their targets, before likely new ones are assumed not to exist again.
    pessimistic_batches: usize,
    /// Entries that wait for the next merge of the deferred index. Their number is unknown at the start, so the first
    /// new entry triggers a merge.
    unmerged: usize,
}

impl<A: Stored> Writer<'_, A> {
    fn write(&mut self, mut work: QueuedWork<A>) {
        for (mut maintenance, answer) in work.maintenance.drain(..) {
            // It fails only if the caller stopped waiting.
            let _ = answer.send(self.maintain(&mut maintenance).map_err(Error::from));
        }
        let optimistic = self.pessimistic_batches == 0;
        self.pessimistic_batches = self.pessimistic_batches.saturating_sub(1);
        let mut result = self.attempt(&mut work.jobs, &work.published, optimistic);
        if optimistic && matches!(result, Err(StorageError::Stale(_))) {
            self.pessimistic_batches = PESSIMISTIC_BATCHES;
        }
        // Run again, with a new connection, or from stored states instead of assumed ones.
        if matches!(result, Err(StorageError::Lost(_) | StorageError::Stale(_))) {
            result = self.attempt(&mut work.jobs, &work.published, false);
        }
        match result {
            Ok(outcome) => self.answer(work.jobs, outcome),
            // No single job is at fault, and each would wait for the same lock or server.
            Err(error) if error.is_outage() => self.reject(work.jobs, error),
            Err(error) => {
                tracing::debug!(%error, jobs = work.jobs.len(), "batch failed; its jobs run one by one");
                self.write_one_by_one(work.jobs);
                // Events whose outbox entry stays are published again; the inbox skips duplicates.
                if let Err(error) = self.attempt(&mut [], &work.published, false) {
                    tracing::warn!(%error, "cannot delete the outbox entries of published events");
                }
            }
        }
        for answer in work.marked {
            // It fails only if the relay stopped.
            let _ = answer.send(());
        }
        self.merge_index();
    }

    /// Merges the deferred index if many entries are waiting, after all callers were answered.
    fn merge_index(&mut self) {
        let Some(index) = A::DEFERRED_INDEX.filter(|_| self.unmerged >= MAX_WAITING_ENTRIES) else { return };
        self.unmerged = 0;
        if let Err(error) = self.maintain(&mut |connection| index.merge(connection)) {
            tracing::debug!(%error, "cannot merge the deferred index; retrying later");
        }
    }

    fn reject(&mut self, jobs: Vec<Job<A>>, cause: StorageError) {
        let error = Error::from(cause);
        let answers = jobs.iter().map(|_| Err(error.clone())).collect();
        self.answer(jobs, BatchOutcome::without_writes(answers));
    }

    /// Runs jobs in one transaction. After an error nothing is written, unless the connection was lost during the
    /// commit: then the outcome is unknown, and a second run finds the request ids, gates and states that were written.
    fn attempt(
        &mut self,
        jobs: &mut [Job<A>],
        published: &[Arc<str>],
        optimistic: bool,
    ) -> Result<BatchOutcome<A>, StorageError> {
        if jobs.is_empty() && published.is_empty() {
            return Ok(BatchOutcome::without_writes(Vec::new()));
        }
        let shared = self.shared;
        let now = shared.clock.now();
        let _writing = shared.database.lock_writing();
        // The cache is restored only after a commit.
        let cache = std::mem::replace(&mut self.cache, StateCache::new());
        let result = self.connection()?.transaction(|connection| {
            let mut batch = Batch::load(connection, shared.database.schema(), now, jobs, &cache, optimistic)?;
            let answers = jobs.iter_mut().map(|job| batch.decide(job)).collect();
            outbox::delete_published(connection, published)?;
            batch.save(connection, answers)
        });
        match &result {
            Ok(_) => self.cache = cache,
            // A session that started while the server was read-only stays read-only.
            Err(error) if error.is_outage() => self.connection = None,
            Err(_) => {}
        }
        result
    }

    /// Runs each job in its own transaction; rejects the remaining ones if the database becomes unavailable.
    fn write_one_by_one(&mut self, jobs: Vec<Job<A>>) {
        let mut jobs = jobs.into_iter();
        while let Some(mut job) = jobs.next() {
            match self.attempt_alone(&mut job) {
                Err(error) if error.is_outage() => {
                    return self.reject(std::iter::once(job).chain(jobs).collect(), error);
                }
                result => {
                    let outcome = result.unwrap_or_else(|error| BatchOutcome::without_writes(vec![Err(error.into())]));
                    self.answer(vec![job], outcome);
                }
            }
        }
    }

    fn attempt_alone(&mut self, job: &mut Job<A>) -> Result<BatchOutcome<A>, StorageError> {
        let mut attempts = 0;
        loop {
            match self.attempt(std::slice::from_mut(job), &[], false) {
                Err(StorageError::Stale(_)) if attempts < MAX_STALE_ATTEMPTS => attempts += 1,
                result => return result,
            }
        }
    }

    /// Runs `work` on the engine's own tables, in its own transaction.
    fn maintain(
        &mut self,
        work: &mut dyn FnMut(&mut Connection) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        let shared = self.shared;
        let _writing = shared.database.lock_writing();
        let result = self.connection().and_then(|connection| connection.transaction(|connection| work(connection)));
        if result.as_ref().is_err_and(StorageError::is_outage) {
            self.connection = None;
        }
        result
    }

    fn answer(&mut self, jobs: Vec<Job<A>>, outcome: BatchOutcome<A>) {
        for Parked { event, consumer, reason } in &outcome.parked {
            tracing::warn!(event, consumer, reason, "dead letter");
        }
        self.shared.publish(&outcome.written, outcome.events);
        self.unmerged += outcome.written.iter().filter(|(_, (_, revision))| revision.version == 1).count();
        self.cache.insert(outcome.written.into_iter());
        if jobs.is_empty() {
            return;
        }
        let answered: Vec<_> = jobs.into_iter().zip(outcome.answers).collect();
        // Waking callers from a runtime thread needs no system call per caller, and freeing the jobs on the threads
        // that allocated them is cheaper.
        task::spawn_on(&self.shared.runtime, async move {
            for (job, answer) in answered {
                // It fails only if the caller stopped waiting.
                let _ = job.answer.map(|caller| caller.send(answer));
            }
        });
    }

    fn connection(&mut self) -> Result<&mut Connection, StorageError> {
        let mut attempt = 0;
        while self.connection.is_none() {
            match self.shared.database.connect() {
                Ok(connection) => self.connection = Some(connection),
                Err(error) if attempt + 1 == MAX_CONNECT_ATTEMPTS => return Err(error),
                Err(_) => {
                    attempt += 1;
                    block_for(CONNECT_PAUSE);
                }
            }
        }
        self.connection.as_mut().ok_or_else(|| StorageError::Lost("no connection".to_owned()))
    }
}
