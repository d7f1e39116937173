//! A consumer that reads the history of a context of the same process, from where it stopped, and applies it event by event.
//!
//! A batch of events is applied in one transaction, which also stores the position after it: an event is applied exactly
//! once, and what the policy ignores costs nothing. An event that cannot be applied now, and those of its aggregate
//! after it, are stored as retrying and do not hold up the others.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use engine::{AppliedBatch, Arrival, Decide, Decision, EventBatch, Stored, event_log, positions};
use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use jumun_core::{
    Envelope, Error, reasons,
    task::JoinSet,
    time::{Instant, sleep, sleep_until, timeout},
};

use crate::{
    local::{History, Progress},
    stall::StallWatch,
    subscription::{EventEffect, Judged, Subscription, retry_delay},
};

/// Maximum number of events per transaction.
const MAX_EVENTS: usize = 256;
/// Aggregates that wait for a retry; at this number the consumer reads no further.
const MAX_RETRYING: usize = 512;
/// Ignored events after which the position is stored, so that a restart does not read more of them again.
const MAX_UNSTORED: i64 = 100_000;
/// How long a batch waits for its policies. Events whose policy takes longer are applied after it returns.
const POLICY_PATIENCE: Duration = Duration::from_millis(50);
/// After so many events in one transaction the consumer waits a moment for more: fewer and larger transactions cost
/// less, and several events of one aggregate become one row.
const BUSY_EVENTS: usize = 16;
const GATHER: Duration = Duration::from_millis(20);
/// How often the history is read without notice: another process may write it, too.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// The pause after the database of the consumer or of its source has failed.
const PAUSE: Duration = Duration::from_millis(500);

/// What a round found.
enum Round {
    /// There may be more events at once.
    More,
    /// Some events; those that follow are worth waiting for.
    Some,
    /// No event that can be applied now.
    Idle,
}

/// What a policy says of an event.
type Judging<A> = BoxFuture<'static, Judged<A>>;

pub(crate) struct CatchUp<'a, A: Stored> {
    subscription: &'a Subscription<A>,
    history: History,
    progress: Arc<Progress>,
    /// The stored position, and the position up to which everything was applied or ignored.
    stored: i64,
    read: i64,
    /// The version of the stored state.
    version: i64,
    retries: HashMap<String, Retry<A>>,
    /// Policies of events that wait for a retry.
    judging: JoinSet<(String, Judged<A>)>,
}

/// The first event of an aggregate that waits for a retry.
struct Retry<A: Stored> {
    number: i64,
    attempts: u32,
    state: RetryState<A>,
}

enum RetryState<A: Stored> {
    Due(Instant),
    Judging,
    Judged(Judged<A>),
}

impl<A: Stored> Retry<A> {
    fn due(number: i64, attempts: u32, error: Option<&Error>) -> Self {
        Self { number, attempts, state: RetryState::Due(Instant::now() + retry_delay(attempts, error)) }
    }
}

impl<'a, A: Stored> CatchUp<'a, A> {
    /// Runs until the process stops or the future is dropped.
    pub(crate) async fn run(subscription: &'a Subscription<A>, history: History, progress: Arc<Progress>) {
        let mut stopping = subscription.stopping.clone();
        let mut catch_up = Self {
            subscription,
            history,
            progress,
            stored: 0,
            read: 0,
            version: 0,
            retries: HashMap::new(),
            judging: JoinSet::new(),
        };
        let mut is_current = false;
        let mut watch = StallWatch::new(&subscription.name, &subscription.stall);
        while !*stopping.borrow() {
            let before = (catch_up.read, catch_up.retries.len());
            let result = if is_current { catch_up.round().await } else { catch_up.load().await.map(|()| Round::More) };
            if let Err(error) = &result {
                tracing::debug!(%error, consumer = subscription.name, "cannot read or apply events now");
                catch_up.progress.oldest.store(0, Relaxed);
            }
            if result.is_err() || catch_up.is_full() && (catch_up.read, catch_up.retries.len()) == before {
                watch.waits();
            } else if is_current {
                watch.progressed();
            }
            is_current = result.is_ok();
            let pause = async {
                match result {
                    Ok(Round::More) => {}
                    Ok(Round::Some) => sleep(GATHER).await,
                    Ok(Round::Idle) => catch_up.wait().await,
                    Err(_) => sleep(PAUSE).await,
                }
            };
            tokio::select! {
                _ = stopping.wait_for(|stopping| *stopping) => {}
                () = pause => {}
            }
        }
    }

    /// Reads the stored state.
    async fn load(&mut self) -> Result<(), Error> {
        let state = positions::consumer_state(&self.subscription.engine, &self.subscription.name).await?;
        self.judging = JoinSet::new();
        // What was only ignored since then is read again.
        (self.stored, self.read, self.version) = (state.position, state.position, state.version);
        self.retries = state.retrying.into_iter().map(|(id, number)| (id, Retry::due(number, 0, None))).collect();
        self.show_progress();
        Ok(())
    }

    /// Applies the next events and those whose retry is due.
    async fn round(&mut self) -> Result<Round, Error> {
        self.retry().await?;
        if self.is_full() {
            // It fails, and is not overloaded: new work does not have to wait for it.
            self.progress.oldest.store(0, Relaxed);
            return Ok(Round::Idle);
        }
        // Before reading, so that a notice of later events is not lost.
        self.history.committed.mark_unchanged();
        let events = self.history.after(self.read, MAX_EVENTS).await?;
        self.progress.oldest.store(events.first().map_or(0, |event| event.time.0), Relaxed);
        let Some(last) = events.last() else { return Ok(Round::Idle) };
        let (to, count) = (last.sequence, events.len());
        let mut batch = EventBatch::new(self.subscription.name.clone(), self.version, self.stored, to);
        let mut applied = Vec::new();
        for (envelope, judged) in self.judge(events).await {
            if let Ok(EventEffect::Ignore) = judged.effect {
                continue;
            }
            applied.push(envelope.clone());
            push(&mut batch, envelope, Arrival::InSequence, judged);
        }
        if !batch.is_empty() || to - self.stored > MAX_UNSTORED {
            let AppliedBatch { results, version } = self.subscription.engine.apply_batch(batch).await?;
            (self.stored, self.version) = (to, version);
            for (envelope, result) in applied.iter().zip(results) {
                if let Err(error) = result {
                    let retry = || Retry::due(envelope.number, 0, Some(&error));
                    self.retries.entry(envelope.aggregate.clone()).or_insert_with(retry);
                }
            }
        }
        self.read = to;
        self.show_progress();
        Ok(if (BUSY_EVENTS..MAX_EVENTS).contains(&count) { Round::Some } else { Round::More })
    }

    /// Whether as many aggregates wait for a retry as may.
    fn is_full(&self) -> bool {
        self.retries.len() >= MAX_RETRYING
    }

    fn show_progress(&self) {
        self.progress.position.store(self.read, Relaxed);
        self.progress.retrying.store(self.retries.len(), Relaxed);
    }

    /// Asks the policy about each event; those of an aggregate one after another. Leaves out the events of aggregates
    /// that wait for a retry. An event whose policy takes too long fails as transient, and later ones of its aggregate
    /// are left out.
    async fn judge(&mut self, events: Vec<Arc<Envelope>>) -> Vec<(Arc<Envelope>, Judged<A>)> {
        let mut judged: Vec<(Arc<Envelope>, Judged<A>)> = Vec::with_capacity(events.len());
        let mut waiting: HashMap<String, VecDeque<Arc<Envelope>>> = HashMap::new();
        let mut running = FuturesUnordered::new();
        for envelope in events {
            if self.retries.contains_key(&envelope.aggregate) {
                continue;
            }
            if let Some(behind) = waiting.get_mut(&envelope.aggregate) {
                behind.push_back(envelope);
                continue;
            }
            let mut judging = self.subscription.judge(&envelope);
            match (&mut judging).now_or_never() {
                Some(judgement) => judged.push((envelope, judgement)),
                None => {
                    waiting.insert(envelope.aggregate.clone(), VecDeque::new());
                    running.push(Running { envelope, judging });
                }
            }
        }
        if running.is_empty() {
            return judged;
        }
        let end = Instant::now() + POLICY_PATIENCE;
        while let Ok(Some((envelope, judgement))) =
            timeout(end.saturating_duration_since(Instant::now()), running.next()).await
        {
            let waits = judgement.effect.as_ref().is_err_and(Error::is_transient);
            let behind = waiting.get_mut(&envelope.aggregate).and_then(VecDeque::pop_front);
            judged.push((envelope, judgement));
            if let Some(envelope) = behind.filter(|_| !waits) {
                running.push(Running { judging: self.subscription.judge(&envelope), envelope });
            }
        }
        for Running { envelope, judging } in running {
            let error = Error::new(&reasons::DEADLINE_EXCEEDED, "the policy has not returned yet");
            let (aggregate, number) = (envelope.aggregate.clone(), envelope.number);
            judged.push((envelope, Judged { effect: Err(error), traceparent: None }));
            self.judging.spawn({
                let aggregate = aggregate.clone();
                async move { (aggregate, judging.await) }
            });
            self.retries.insert(aggregate, Retry { number, attempts: 0, state: RetryState::Judging });
        }
        judged.sort_by_key(|(envelope, _)| envelope.sequence);
        judged
    }

    /// Applies the events whose retry was judged, and asks the policy about those that are due.
    async fn retry(&mut self) -> Result<(), Error> {
        while let Some(Ok((aggregate, judged))) = self.judging.try_join_next() {
            if let Some(retry) = self.retries.get_mut(&aggregate) {
                retry.state = RetryState::Judged(judged);
            }
        }
        let now = Instant::now();
        let ready = |retry: &Retry<A>| match retry.state {
            RetryState::Due(at) => at <= now,
            RetryState::Judging => false,
            RetryState::Judged(_) => true,
        };
        let ready: Vec<_> = self.retries.extract_if(|_, retry| ready(retry)).take(MAX_EVENTS).collect();
        let mut batch = EventBatch::new(self.subscription.name.clone(), self.version, self.stored, self.stored);
        let mut applied = Vec::new();
        for (aggregate, retry) in ready {
            let database = &self.history.database;
            let Some(envelope) = event_log::first_of(database, &aggregate, retry.number, self.read).await? else {
                continue;
            };
            match retry.state {
                RetryState::Judged(Judged { effect: Err(error), .. }) if error.is_transient() => {
                    self.retries.insert(aggregate, Retry::due(retry.number, retry.attempts + 1, Some(&error)));
                }
                RetryState::Judged(judged) => {
                    let next = event_log::first_of(database, &aggregate, envelope.number + 1, self.read).await?;
                    let arrival = Arrival::Retry { more: next.is_some() };
                    push(&mut batch, envelope, arrival, judged);
                    applied.push((aggregate, retry.number, retry.attempts, next.map(|next| next.number)));
                }
                RetryState::Due(_) | RetryState::Judging => {
                    let judging = self.subscription.judge(&envelope);
                    let id = aggregate.clone();
                    self.judging.spawn(async move { (id, judging.await) });
                    self.retries.insert(aggregate, Retry { state: RetryState::Judging, ..retry });
                }
            }
        }
        if !batch.is_empty() {
            let AppliedBatch { results, version } = self.subscription.engine.apply_batch(batch).await?;
            self.version = version;
            for ((aggregate, number, attempts, next), result) in applied.into_iter().zip(results) {
                match (result, next) {
                    (Err(error), _) => {
                        self.retries.insert(aggregate, Retry::due(number, attempts + 1, Some(&error)));
                    }
                    (Ok(()), Some(next)) => {
                        let state = RetryState::Due(Instant::now());
                        self.retries.insert(aggregate, Retry { number: next, attempts: 0, state });
                    }
                    (Ok(()), None) => {}
                }
            }
        }
        self.show_progress();
        Ok(())
    }

    /// Waits until there may be more events, or a retry is due.
    async fn wait(&mut self) {
        let is_full = self.is_full();
        let due = self.retries.values().filter_map(|retry| match retry.state {
            RetryState::Due(at) => Some(at),
            RetryState::Judging => None,
            RetryState::Judged(_) => Some(Instant::now()),
        });
        let poll = Instant::now() + POLL_INTERVAL;
        let end = due.min().map_or(poll, |due| due.min(poll));
        let judged = async {
            match self.judging.join_next().await {
                Some(Ok(judged)) => judged,
                Some(Err(_)) | None => std::future::pending().await,
            }
        };
        let judged = tokio::select! {
            (aggregate, judged) = judged => Some((aggregate, judged)),
            Ok(()) = self.history.committed.changed(), if !is_full => None,
            () = sleep_until(end) => None,
        };
        if let Some((aggregate, judged)) = judged
            && let Some(retry) = self.retries.get_mut(&aggregate)
        {
            retry.state = RetryState::Judged(judged);
        }
    }
}

fn push<A: Stored>(batch: &mut EventBatch<A>, envelope: Arc<Envelope>, arrival: Arrival, judged: Judged<A>) {
    let (target, outcome): (_, Result<Decide<A>, _>) = match judged.effect {
        Ok(EventEffect::Decide(id, decide)) => (Some(id), Ok(decide)),
        Ok(EventEffect::Ignore) => (None, Ok(Box::new(|_: Option<&A>| Ok(Decision::Leave)))),
        Err(error) => (None, Err(error)),
    };
    batch.push(target, envelope, arrival, outcome, judged.traceparent);
}

/// A policy that is running.
struct Running<A: Stored> {
    envelope: Arc<Envelope>,
    judging: Judging<A>,
}

impl<A: Stored> Future for Running<A> {
    type Output = (Arc<Envelope>, Judged<A>);

    fn poll(mut self: std::pin::Pin<&mut Self>, context: &mut std::task::Context<'_>) -> std::task::Poll<Self::Output> {
        self.judging.poll_unpin(context).map(|judged| (self.envelope.clone(), judged))
    }
}
