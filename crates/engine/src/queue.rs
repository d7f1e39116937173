//! The bounded queue between callers and the writer thread.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use prometheus::{Histogram, HistogramOpts};
use tokio::sync::oneshot;

use jumun_core::{Error, reasons, time::Instant};

use crate::{
    Stored,
    event_log::Step,
    job::{AppliedBatch, EventBatch, Job},
    metrics::BATCH_SIZE,
    storage::{Connection, StorageError},
};

/// Maximum number of waiting commands, and of waiting events. More are rejected: a longer queue only adds latency.
pub const MAX_QUEUED: usize = 4096;
/// Maximum number of jobs per transaction.
pub const MAX_BATCH: usize = 512;
/// How long load is assumed after the last large transaction of commands: callers that were answered together send
/// their next commands together, after the other transactions that they wait for.
const BUSY_FOR: Duration = Duration::from_millis(200);
/// Under load, a commit waits this long for more commands: fewer and larger transactions have a higher throughput.
const COMMIT_DELAY: Duration = Duration::from_millis(1);
/// A transaction of BUSY_BATCH commands indicates load; FULL_BATCH waiting commands are committed without delay.
const BUSY_BATCH: usize = 24;
const FULL_BATCH: usize = 96;

/// Buckets of the histogram: 1, 2, 4 … MAX_BATCH.
const BATCH_BUCKETS: usize = MAX_BATCH.ilog2() as usize + 1;

/// Work on the engine's own tables, in a transaction of the writer thread.
pub type Maintenance = Box<dyn FnMut(&mut Connection) -> Result<(), StorageError> + Send>;

/// A batch of events that waits for a transaction.
pub(crate) struct QueuedBatch<A: Stored> {
    pub(crate) step: Step,
    /// The position before it.
    pub(crate) from: i64,
    pub(crate) jobs: Vec<Job<A>>,
    pub(crate) answer: oneshot::Sender<Result<AppliedBatch, Error>>,
}

/// The work of one transaction.
pub(crate) struct QueuedWork<A: Stored> {
    pub(crate) jobs: Vec<Job<A>>,
    pub(crate) batches: Vec<QueuedBatch<A>>,
    /// Outbox entries whose events the bus has acknowledged.
    pub(crate) published: Vec<Arc<str>>,
    pub(crate) marked: Vec<oneshot::Sender<()>>,
    pub(crate) maintenance: Vec<(Maintenance, oneshot::Sender<Result<(), Error>>)>,
}

pub(crate) struct Queue<A: Stored> {
    waiting: Mutex<Waiting<A>>,
    ready: Condvar,
    /// The number of jobs per transaction.
    pub(crate) batch_sizes: Histogram,
}

struct Waiting<A: Stored> {
    commands: VecDeque<Job<A>>,
    events: VecDeque<Job<A>>,
    batches: Vec<QueuedBatch<A>>,
    published: Vec<Arc<str>>,
    marked: Vec<oneshot::Sender<()>>,
    maintenance: Vec<(Maintenance, oneshot::Sender<Result<(), Error>>)>,
    /// When a transaction last indicated load.
    last_busy: Option<Instant>,
    /// The number of waiting commands that wakes the writer; 0: any work does. Waking it for each command would cost
    /// more than the command.
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
                batches: Vec::new(),
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
        let jobs = if job.event.is_some() { &mut waiting.events } else { &mut waiting.commands };
        if jobs.len() >= MAX_QUEUED {
            return Err(Error::new(&reasons::QUEUE_FULL, "too many requests are waiting"));
        }
        jobs.push_back(job);
        let wakes = waiting.commands.len() >= waiting.wakes_at;
        if wakes {
            // One wakeup is enough.
            waiting.wakes_at = usize::MAX;
        }
        drop(waiting);
        if wakes {
            self.ready.notify_one();
        }
        Ok(())
    }

    /// Queues a batch of events. Each consumer waits for its batch before it queues the next.
    pub(crate) fn push_batch(
        &self,
        EventBatch { consumer, version, from, to, jobs }: EventBatch<A>,
        answer: oneshot::Sender<Result<AppliedBatch, Error>>,
    ) -> Result<(), Error> {
        let mut waiting = self.lock();
        if waiting.closed {
            return Err(Error::new(&reasons::STOPPING, "the process is stopping"));
        }
        waiting.batches.push(QueuedBatch { step: Step { consumer, version, to }, from, jobs, answer });
        drop(waiting);
        self.ready.notify_one();
        Ok(())
    }

    /// Deletes outbox entries as part of the next transaction, and returns after it.
    pub(crate) async fn mark_published(&self, batches: &[Arc<str>]) {
        let (answer, answered) = oneshot::channel();
        {
            let mut waiting = self.lock();
            waiting.published.extend_from_slice(batches);
            waiting.marked.push(answer);
        }
        self.ready.notify_one();
        // If the writer has ended, the events are published again after a restart.
        let _ = answered.await;
    }

    pub(crate) async fn maintain(&self, work: Maintenance) -> Result<(), Error> {
        let (answer, answered) = oneshot::channel();
        self.lock().maintenance.push((work, answer));
        self.ready.notify_one();
        answered.await.map_err(Error::internal)?
    }

    /// Takes the waiting work, or waits for some; None when the queue is closed and empty.
    pub(crate) fn take(&self) -> Option<QueuedWork<A>> {
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
            waiting = self.gather(waiting, FULL_BATCH, COMMIT_DELAY);
        }
        let commands = waiting.commands.len().min(MAX_BATCH);
        if commands >= BUSY_BATCH {
            waiting.last_busy = Some(Instant::now());
        }
        waiting.wakes_at = usize::MAX;
        // Callers wait for commands, and consumers have no more than their batches waiting: each transaction takes both.
        let events = waiting.events.len().min(MAX_BATCH);
        let mut jobs: Vec<_> = waiting.commands.drain(..commands).collect();
        jobs.extend(waiting.events.drain(..events));
        let size = jobs.len() + waiting.batches.iter().map(|batch| batch.jobs.len()).sum::<usize>();
        if size > 0 {
            // Counts of a few thousand are exact.
            self.batch_sizes.observe(size as f64);
        }
        let batches = std::mem::take(&mut waiting.batches);
        Some(QueuedWork {
            jobs,
            batches,
            published: std::mem::take(&mut waiting.published),
            marked: std::mem::take(&mut waiting.marked),
            maintenance: std::mem::take(&mut waiting.maintenance),
        })
    }

    /// Waits until so many commands are waiting, for at most `longest`.
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

    /// The numbers of waiting commands and events.
    pub(crate) fn lengths(&self) -> (usize, usize) {
        let waiting = self.lock();
        let in_batches: usize = waiting.batches.iter().map(|batch| batch.jobs.len()).sum();
        (waiting.commands.len(), waiting.events.len() + in_batches)
    }

    /// Ends the writer thread once it has finished the waiting work.
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
        self.commands.is_empty()
            && self.events.is_empty()
            && self.batches.is_empty()
            && self.published.is_empty()
            && self.maintenance.is_empty()
    }
}

/// The histogram of one engine's batch sizes.
fn batch_sizes(schema: &str) -> prometheus::Result<Histogram> {
    let labels = BATCH_SIZE.constant_labels.iter().zip([schema]);
    let options = HistogramOpts::new(BATCH_SIZE.name, BATCH_SIZE.help)
        .const_labels(labels.map(|(label, value)| ((*label).to_owned(), value.to_owned())).collect())
        .buckets(prometheus::exponential_buckets(1.0, 2.0, BATCH_BUCKETS)?);
    Histogram::with_opts(options)
}
