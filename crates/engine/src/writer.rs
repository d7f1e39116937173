//! The writer thread: runs one transaction after another, and handles failed ones.

use std::{sync::Arc, time::Duration};

use jumun_core::{Error, task, time::block_for};
use tokio::sync::oneshot;

use crate::{
    Stored,
    batch::{Batch, BatchOutcome, KnownConsumers, Parked, StateCache},
    deferred_index::MAX_WAITING_ENTRIES,
    event_log::Step,
    job::{AppliedBatch, CommandOutcome, Job},
    outbox::{self, Outlet},
    queue::{QueuedBatch, QueuedWork},
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
        consumers: KnownConsumers::new(),
        pessimistic_batches: 0,
        unmerged: MAX_WAITING_ENTRIES - 1,
    };
    while let Some(work) = shared.queue.take() {
        writer.write(work);
    }
}

/// The jobs of one transaction: single ones, then those of the batches.
struct Together<A: Stored> {
    jobs: Vec<Job<A>>,
    singles: usize,
    steps: Vec<Step>,
    batches: Vec<BatchAnswer>,
}

/// Where the results of a batch go, and how many there are.
struct BatchAnswer {
    size: usize,
    from: i64,
    answer: oneshot::Sender<Result<AppliedBatch, Error>>,
}

impl BatchAnswer {
    fn answer(self, applied: Result<AppliedBatch, Error>) {
        // It fails only if the consumer has stopped.
        let _ = self.answer.send(applied);
    }
}

impl<A: Stored> Together<A> {
    fn of(work: &mut QueuedWork<A>) -> Self {
        let mut jobs = std::mem::take(&mut work.jobs);
        let (singles, mut steps, mut batches) = (jobs.len(), Vec::new(), Vec::new());
        for QueuedBatch { step, from, jobs: batch, answer } in work.batches.drain(..) {
            batches.push(BatchAnswer { size: batch.len(), from, answer });
            jobs.extend(batch);
            steps.push(step);
        }
        Self { jobs, singles, steps, batches }
    }

    /// Answers the batches; the answers of single jobs stay.
    fn answer_batches(&mut self, answers: &mut Vec<Result<CommandOutcome<A>, Error>>) {
        self.jobs.truncate(self.singles);
        let mut rest = answers.drain(self.singles..);
        for (batch, step) in self.batches.drain(..).zip(&self.steps) {
            let results = rest.by_ref().take(batch.size).map(|answer| answer.map(drop)).collect();
            batch.answer(Ok(AppliedBatch { results, version: step.version + 1 }));
        }
    }

    /// The single jobs, and the batches as they were queued.
    fn apart(mut self) -> (Vec<Job<A>>, Vec<QueuedBatch<A>>) {
        let mut rest = self.jobs.split_off(self.singles).into_iter();
        let batches = self.batches.into_iter().zip(self.steps);
        let batches = batches
            .map(|(BatchAnswer { size, from, answer }, step)| QueuedBatch {
                step,
                from,
                jobs: rest.by_ref().take(size).collect(),
                answer,
            })
            .collect();
        (self.jobs, batches)
    }
}

struct Writer<'a, A: Stored> {
    shared: &'a Shared<A>,
    connection: Option<Connection>,
    cache: StateCache<A>,
    consumers: KnownConsumers,
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
        let mut together = Together::of(&mut work);
        let mut result = self.attempt(&mut together.jobs, &together.steps, &work.published, optimistic);
        if optimistic && matches!(result, Err(StorageError::Stale(_))) {
            self.pessimistic_batches = PESSIMISTIC_BATCHES;
        }
        // Run again, with a new connection, or from stored states instead of assumed ones.
        if matches!(result, Err(StorageError::Lost(_) | StorageError::Stale(_))) {
            result = self.attempt(&mut together.jobs, &together.steps, &work.published, false);
        }
        match result {
            Ok(mut outcome) => {
                together.answer_batches(&mut outcome.answers);
                self.answer(together.jobs, outcome);
            }
            // No single job is at fault, and each would wait for the same lock or server.
            Err(error) if error.is_outage() => {
                let cause = Error::from(error);
                together.batches.into_iter().for_each(|batch| batch.answer(Err(cause.clone())));
                together.jobs.truncate(together.singles);
                self.reject(together.jobs, &cause);
            }
            Err(error) => {
                tracing::debug!(%error, jobs = together.jobs.len(), "batch failed; its jobs run one by one");
                let (jobs, batches) = together.apart();
                self.write_one_by_one(jobs);
                for batch in batches {
                    self.write_batch_one_by_one(batch);
                }
                // Events whose outbox entry stays are published again; the inbox skips duplicates.
                if let Err(error) = self.attempt(&mut [], &[], &work.published, false) {
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

    fn reject(&mut self, jobs: Vec<Job<A>>, error: &Error) {
        let answers = jobs.iter().map(|_| Err(error.clone())).collect();
        self.answer(jobs, BatchOutcome::without_writes(answers));
    }

    /// Runs jobs in one transaction. After an error nothing is written, unless the connection was lost during the
    /// commit: then the outcome is unknown, and a second run finds the request ids, gates and states that were written.
    fn attempt(
        &mut self,
        jobs: &mut [Job<A>],
        steps: &[Step],
        published: &[Arc<str>],
        optimistic: bool,
    ) -> Result<BatchOutcome<A>, StorageError> {
        if jobs.is_empty() && steps.is_empty() && published.is_empty() {
            return Ok(BatchOutcome::without_writes(Vec::new()));
        }
        let shared = self.shared;
        let now = shared.clock.now();
        let _writing = shared.database.lock_writing();
        // The cache, and what is known of consumers, are restored only after a commit.
        let cache = std::mem::replace(&mut self.cache, StateCache::new());
        let mut consumers = std::mem::take(&mut self.consumers);
        let is_relayed = matches!(shared.outlet, Outlet::Relay(_));
        let work = |connection: &mut Connection| {
            let schema = shared.database.schema();
            let mut batch = Batch::load(connection, schema, now, jobs, &cache, &mut consumers, optimistic)?;
            let answers = jobs.iter_mut().map(|job| batch.decide(job)).collect();
            outbox::delete_published(connection, published)?;
            batch.save(connection, answers, steps, is_relayed)
        };
        let connection = self.connection()?;
        let result = if is_relayed { connection.transaction(work) } else { connection.transaction_in_turn(work) };
        match &result {
            Ok(_) => (self.cache, self.consumers) = (cache, consumers),
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
            match self.attempt_alone(std::slice::from_mut(&mut job), &[]) {
                Err(error) if error.is_outage() => {
                    return self.reject(std::iter::once(job).chain(jobs).collect(), &error.into());
                }
                result => {
                    let outcome = result.unwrap_or_else(|error| BatchOutcome::without_writes(vec![Err(error.into())]));
                    self.answer(vec![job], outcome);
                }
            }
        }
    }

    /// Runs each event of a batch in its own transaction, with the consumer's step to it. An event that the database
    /// refuses becomes a dead letter. After another error the remaining events are not applied.
    fn write_batch_one_by_one(&mut self, QueuedBatch { step, from, jobs, answer }: QueuedBatch<A>) {
        let are_retries = from == step.to;
        let mut next = Step { to: from, ..step.clone() };
        let mut results = Vec::with_capacity(jobs.len());
        for mut job in jobs {
            if let Some(event) = job.event.as_ref().filter(|_| !are_retries) {
                next.to = event.envelope.sequence;
            }
            let alone = std::slice::from_mut(&mut job);
            let mut result = self.attempt_alone(alone, std::slice::from_ref(&next));
            if let Err(error @ (StorageError::Refused(_) | StorageError::Unreadable(_))) = result {
                if let Some(event) = &mut job.event {
                    event.poison = Some(error.into());
                    job.target = None;
                }
                result = self.attempt_alone(std::slice::from_mut(&mut job), std::slice::from_ref(&next));
            }
            match result {
                Ok(mut outcome) => {
                    results.extend(outcome.answers.drain(..).map(|answer| answer.map(drop)));
                    next.version += 1;
                    self.answer(Vec::new(), outcome);
                }
                // The consumer reads its stored state, and goes on from there.
                Err(error) => return drop(answer.send(Err(error.into()))),
            }
        }
        next.to = step.to;
        let last = self.attempt_alone(&mut [], std::slice::from_ref(&next));
        let applied = last.map(|_| AppliedBatch { results, version: next.version + 1 });
        // It fails only if the consumer has stopped.
        let _ = answer.send(applied.map_err(Error::from));
    }

    fn attempt_alone(&mut self, jobs: &mut [Job<A>], steps: &[Step]) -> Result<BatchOutcome<A>, StorageError> {
        let mut attempts = 0;
        loop {
            match self.attempt(jobs, steps, &[], false) {
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
