//! The writer thread: one transaction after another, and what to do when one fails.

use std::{sync::Arc, time::Duration};

use jumun_core::{Error, task, time::block_for};

use crate::{
    Stored,
    batch::{Batch, Outcome, Parked, Recent},
    deferred_index::MAX_WAITING,
    job::Job,
    outbox,
    queue::Load,
    shared::Shared,
    storage::{Connection, StorageError},
};

/// Attempts to run one job whose aggregate another replica keeps changing.
const MAX_STALE_ATTEMPTS: usize = 8;
/// Batches that read what they are to begin, after one found something there that it took to be not there.
const DOUBTED_BATCHES: usize = 64;
/// Attempts to reach the database before the waiting jobs are turned away, and the pause between them.
const MAX_CONNECT_ATTEMPTS: usize = 4;
const CONNECT_PAUSE: Duration = Duration::from_millis(250);

pub(crate) fn run<A: Stored>(shared: &Shared<A>) {
    let mut writer = Writer { shared, connection: None, recent: Recent::new(), doubts: 0, unsorted: MAX_WAITING - 1 };
    while let Some(load) = shared.queue.take(&shared.clock) {
        writer.write(load);
    }
}

struct Writer<'a, A: Stored> {
    shared: &'a Shared<A>,
    connection: Option<Connection>,
    recent: Recent<A>,
    /// Batches until what is to begin is taken to be not there again.
    doubts: usize,
    /// Entries that wait to be sorted into the late index; at the start nobody knows how many, so the next one is enough.
    unsorted: usize,
}

impl<A: Stored> Writer<'_, A> {
    fn write(&mut self, mut load: Load<A>) {
        for (mut work, answer) in load.maintenance.drain(..) {
            // A caller that stopped waiting needs no answer.
            let _ = answer.send(self.maintain(&mut work).map_err(Error::from));
        }
        let trusting = self.doubts == 0;
        self.doubts = self.doubts.saturating_sub(1);
        let mut result = self.attempt(&mut load.jobs, &load.published, trusting);
        if trusting && matches!(result, Err(StorageError::Stale(_))) {
            self.doubts = DOUBTED_BATCHES;
        }
        // Once more with another connection, or from what is stored instead of what was assumed.
        if matches!(result, Err(StorageError::Lost(_) | StorageError::Stale(_))) {
            result = self.attempt(&mut load.jobs, &load.published, false);
        }
        match result {
            Ok(outcome) => self.answer(load.jobs, outcome),
            // No job is at fault, and each would wait for the same lock or server again.
            Err(error) if error.is_outage() => self.turn_away(load.jobs, error),
            Err(error) => {
                tracing::debug!(%error, jobs = load.jobs.len(), "batch failed; its jobs run one by one");
                self.write_one_by_one(load.jobs);
                // Events that stay unmarked are published once more; consumers know them by their number.
                if let Err(error) = self.attempt(&mut [], &load.published, false) {
                    tracing::warn!(%error, "published events could not be marked");
                }
            }
        }
        for answer in load.marked {
            // A relay that stopped needs no answer.
            let _ = answer.send(());
        }
        self.merge_index();
    }

    /// Sorts the entries of the late index in when there are many, with everybody answered.
    fn merge_index(&mut self) {
        let Some(index) = A::DEFERRED_INDEX.filter(|_| self.unsorted >= MAX_WAITING) else { return };
        self.unsorted = 0;
        if let Err(error) = self.maintain(&mut |connection| index.merge(connection)) {
            tracing::debug!(%error, "a late index is sorted later");
        }
    }

    fn turn_away(&mut self, jobs: Vec<Job<A>>, cause: StorageError) {
        let error = Error::from(cause);
        let answers = jobs.iter().map(|_| Err(error.clone())).collect();
        self.answer(jobs, Outcome::nothing(answers));
    }

    /// Runs jobs in one transaction. After an error nothing is written, except that a connection lost at the commit
    /// leaves that unknown: running the jobs again then finds their request ids, gates and states.
    fn attempt(
        &mut self,
        jobs: &mut [Job<A>],
        published: &[Arc<str>],
        trusting: bool,
    ) -> Result<Outcome<A>, StorageError> {
        if jobs.is_empty() && published.is_empty() {
            return Ok(Outcome::nothing(Vec::new()));
        }
        let shared = self.shared;
        let now = shared.clock.now();
        let _writing = shared.database.lock_writing();
        // Whatever goes wrong, what was remembered is forgotten.
        let recent = std::mem::replace(&mut self.recent, Recent::new());
        let result = self.connection()?.transaction(|connection| {
            let mut batch = Batch::load(connection, shared.database.schema(), now, jobs, &recent, trusting)?;
            let answers = jobs.iter_mut().map(|job| batch.decide(job)).collect();
            outbox::strike(connection, published)?;
            batch.save(connection, answers)
        });
        match &result {
            Ok(_) => self.recent = recent,
            // A session that began while the server was read-only stays so.
            Err(error) if error.is_outage() => self.connection = None,
            Err(_) => {}
        }
        result
    }

    /// Runs each job in a transaction of its own, for as long as the database is there.
    fn write_one_by_one(&mut self, jobs: Vec<Job<A>>) {
        let mut jobs = jobs.into_iter();
        while let Some(mut job) = jobs.next() {
            match self.attempt_alone(&mut job) {
                Err(error) if error.is_outage() => {
                    return self.turn_away(std::iter::once(job).chain(jobs).collect(), error);
                }
                result => {
                    let outcome = result.unwrap_or_else(|error| Outcome::nothing(vec![Err(error.into())]));
                    self.answer(vec![job], outcome);
                }
            }
        }
    }

    fn attempt_alone(&mut self, job: &mut Job<A>) -> Result<Outcome<A>, StorageError> {
        let mut attempts = 0;
        loop {
            match self.attempt(std::slice::from_mut(job), &[], false) {
                Err(StorageError::Stale(_)) if attempts < MAX_STALE_ATTEMPTS => attempts += 1,
                result => return result,
            }
        }
    }

    /// Works on the kit's own tables, in a transaction of its own.
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

    fn answer(&mut self, jobs: Vec<Job<A>>, outcome: Outcome<A>) {
        for Parked { event, consumer, reason } in &outcome.parked {
            tracing::warn!(event, consumer, reason, "dead letter");
        }
        self.shared.announce(&outcome.written, outcome.events);
        self.unsorted += outcome.written.iter().filter(|(_, (_, revision))| revision.version == 1).count();
        self.recent.remember(outcome.written.into_iter());
        if jobs.is_empty() {
            return;
        }
        let answered: Vec<_> = jobs.into_iter().zip(outcome.answers).collect();
        // Waking the callers from within the runtime costs no system call each; and the jobs, which were made there, are
        // freed there, which costs the allocator less.
        task::spawn_on(&self.shared.runtime, async move {
            for (job, answer) in answered {
                // A caller that stopped waiting needs no answer.
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
