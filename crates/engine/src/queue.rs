//! The bounded queue between callers and the writer thread.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use prometheus::{Histogram, HistogramOpts};
use tokio::sync::oneshot;

use jumun_core::{Clock, Error, Time, reasons, time::Instant};

use crate::{
    Stored,
    job::Job,
    metrics::BATCH_SIZE,
    storage::{Connection, StorageError},
};

/// Commands, and events, that wait at most. One more is refused: waiting longer would help nobody.
pub const MAX_QUEUED: usize = 4096;
/// Jobs that share a transaction at most.
pub const MAX_BATCH: usize = 512;
/// Under load one event goes along with so many commands: a caller waits for an answer, an event does not.
const COMMANDS_PER_EVENT: usize = 8;
/// Load counts so long after the last large transaction of commands: callers that were answered together come back
/// together, after the other transactions that they wait for.
const BUSY_FOR: Duration = Duration::from_millis(200);
/// Events wait for callers so long at most, from when they were announced.
const MAX_EVENT_DELAY: Duration = Duration::from_secs(10);
/// Under load a commit waits this long for company: fewer and larger transactions do more in all. What nobody waits for
/// an answer to waits longer for commands to go along with: a transaction of its own would cost as much as theirs.
const GATHER: Duration = Duration::from_millis(1);
const GATHER_COMMANDS: Duration = Duration::from_millis(20);
/// A transaction of so many commands shows load; so many waiting are company enough.
const BUSY_BATCH: usize = 16;
const FULL_BATCH: usize = 96;

/// Buckets of the histogram: 1, 2, 4 … MAX_BATCH.
const BATCH_BUCKETS: usize = MAX_BATCH.ilog2() as usize + 1;

/// Work on the engine's own tables, in the writer's transaction.
pub type Maintenance = Box<dyn FnMut(&mut Connection) -> Result<(), StorageError> + Send>;

/// What one transaction does.
pub(crate) struct Load<A: Stored> {
    pub(crate) jobs: Vec<Job<A>>,
    /// Batches whose events the bus acknowledged.
    pub(crate) published: Vec<Arc<str>>,
    pub(crate) marked: Vec<oneshot::Sender<()>>,
    pub(crate) maintenance: Vec<(Maintenance, oneshot::Sender<Result<(), Error>>)>,
}

pub(crate) struct Queue<A: Stored> {
    waiting: Mutex<Waiting<A>>,
    ready: Condvar,
    /// Jobs that shared a transaction.
    pub(crate) batch_sizes: Histogram,
}

struct Waiting<A: Stored> {
    commands: VecDeque<Job<A>>,
    events: VecDeque<Job<A>>,
    published: Vec<Arc<str>>,
    marked: Vec<oneshot::Sender<()>>,
    maintenance: Vec<(Maintenance, oneshot::Sender<Result<(), Error>>)>,
    /// When a transaction was last so large that it shows load.
    last_busy: Option<Instant>,
    /// So many waiting commands wake the writer, 0: anything does. Waking it for each would cost more than the command.
    wakes_at: usize,
    closed: bool,
}

impl<A: Stored> Queue<A> {
    pub(crate) fn new(schema: &str) -> prometheus::Result<Self> {
        Ok(Self {
            batch_sizes: batch_sizes(schema)?,
            waiting: Mutex::new(Waiting {
                commands: VecDeque::new(),
                events: VecDeque::new(),
                published: Vec::new(),
                marked: Vec::new(),
                maintenance: Vec::new(),
                last_busy: None,
                wakes_at: 0,
                closed: false,
            }),
            ready: Condvar::new(),
        })
    }

    pub(crate) fn push(&self, job: Job<A>) -> Result<(), Error> {
        let mut waiting = self.lock();
        if waiting.closed {
            return Err(Error::new(&reasons::STOPPING, "the process is stopping"));
        }
        let line = if job.arrival.is_some() { &mut waiting.events } else { &mut waiting.commands };
        if line.len() >= MAX_QUEUED {
            return Err(Error::new(&reasons::QUEUE_FULL, "too many requests are waiting"));
        }
        line.push_back(job);
        let wakes = waiting.commands.len() >= waiting.wakes_at;
        if wakes {
            // Once is enough.
            waiting.wakes_at = usize::MAX;
        }
        drop(waiting);
        if wakes {
            self.ready.notify_one();
        }
        Ok(())
    }

    /// Marks batches whose events the bus has. It rides along with the next transaction.
    pub(crate) async fn mark_published(&self, batches: &[Arc<str>]) {
        let (answer, answered) = oneshot::channel();
        {
            let mut waiting = self.lock();
            waiting.published.extend_from_slice(batches);
            waiting.marked.push(answer);
        }
        self.ready.notify_one();
        // The writer ended: the events are published once more when it is back.
        let _ = answered.await;
    }

    pub(crate) async fn maintain(&self, work: Maintenance) -> Result<(), Error> {
        let (answer, answered) = oneshot::channel();
        self.lock().maintenance.push((work, answer));
        self.ready.notify_one();
        answered.await.map_err(Error::internal)?
    }

    /// Takes what is waiting, or waits; None when the queue is closed and empty.
    pub(crate) fn take(&self, clock: &Clock) -> Option<Load<A>> {
        let mut waiting = self.lock();
        while waiting.is_empty() {
            if waiting.closed {
                return None;
            }
            waiting.wakes_at = 0;
            waiting = self.ready.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        let busy = waiting.last_busy.is_some_and(|at| at.elapsed() < BUSY_FOR);
        if busy {
            waiting = self.gather(waiting, 1, GATHER_COMMANDS);
            waiting = self.gather(waiting, FULL_BATCH, GATHER);
        }
        let commands = waiting.commands.len().min(MAX_BATCH);
        if commands >= BUSY_BATCH {
            waiting.last_busy = Some(Instant::now());
        }
        waiting.wakes_at = usize::MAX;
        let yields = (busy || commands > 0) && !waiting.is_overdue(clock.now());
        let room = if yields { commands / COMMANDS_PER_EVENT + 1 } else { MAX_BATCH };
        let events = waiting.events.len().min(room);
        let mut jobs: Vec<_> = waiting.commands.drain(..commands).collect();
        jobs.extend(waiting.events.drain(..events));
        if !jobs.is_empty() {
            // Counts of at most MAX_BATCH are exact.
            self.batch_sizes.observe(jobs.len() as f64);
        }
        Some(Load {
            jobs,
            published: std::mem::take(&mut waiting.published),
            marked: std::mem::take(&mut waiting.marked),
            maintenance: std::mem::take(&mut waiting.maintenance),
        })
    }

    /// Waits until so many commands are there, but no longer than this.
    fn gather<'a>(
        &self,
        mut waiting: MutexGuard<'a, Waiting<A>>,
        commands: usize,
        longest: Duration,
    ) -> MutexGuard<'a, Waiting<A>> {
        waiting.wakes_at = commands;
        let are_few = |waiting: &mut Waiting<A>| {
            waiting.commands.len() < commands && waiting.maintenance.is_empty() && !waiting.closed
        };
        self.ready.wait_timeout_while(waiting, longest, are_few).unwrap_or_else(PoisonError::into_inner).0
    }

    /// Commands and events that wait.
    pub(crate) fn lengths(&self) -> (usize, usize) {
        let waiting = self.lock();
        (waiting.commands.len(), waiting.events.len())
    }

    /// Lets the writer thread finish what is waiting and end.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.ready.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting<A>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<A: Stored> Waiting<A> {
    fn is_empty(&self) -> bool {
        self.commands.is_empty() && self.events.is_empty() && self.published.is_empty() && self.maintenance.is_empty()
    }

    /// Whether the next event has waited long enough.
    fn is_overdue(&self, now: Time) -> bool {
        let next = self.events.front().and_then(|job| job.arrival.as_ref());
        next.is_some_and(|arrival| arrival.message.time < now - MAX_EVENT_DELAY)
    }
}

/// Measures the transactions of one engine.
fn batch_sizes(schema: &str) -> prometheus::Result<Histogram> {
    let labels = BATCH_SIZE.constant_labels.iter().zip([schema]);
    let options = HistogramOpts::new(BATCH_SIZE.name, BATCH_SIZE.help)
        .const_labels(labels.map(|(label, value)| ((*label).to_owned(), value.to_owned())).collect())
        .buckets(prometheus::exponential_buckets(1.0, 2.0, BATCH_BUCKETS)?);
    Histogram::with_opts(options)
}
