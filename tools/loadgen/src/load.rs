//! The load of one measurement: many callers that wait for their responses, or calls at a fixed rate.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use jumun_core::{
    task::JoinSet,
    time::{Instant, sleep},
};
use tokio::sync::Notify;

use crate::{
    caller::Caller,
    mix::{Call, Mix},
    pace::{self, Pace},
    tally::{Failure, Outcome, Tallies},
};

/// The pause of a caller after an error, so that callers do not spin while the server is unavailable.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(20);
/// Spreads the turns of callers.
const TURNS_APART: u64 = 7919;

/// The state that the calls of a measurement share.
#[derive(Default)]
pub(crate) struct Load {
    max_requests: u64,
    sent: AtomicU64,
    pub(crate) correct: AtomicU64,
    /// Orders that were accepted, warm-up included.
    pub(crate) placed: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) errors: AtomicU64,
    is_stopped: AtomicBool,
    /// Notified when the load stops, for calls at a fixed rate.
    stopped: Notify,
    /// Notified when the maximum number of requests was sent.
    pub(crate) exhausted: Notify,
}

impl Load {
    pub(crate) fn new(max_requests: u64) -> Self {
        Self { max_requests, ..Self::default() }
    }

    pub(crate) fn stop(&self) {
        self.is_stopped.store(true, Relaxed);
        self.stopped.notify_one();
    }

    fn is_stopped(&self) -> bool {
        self.is_stopped.load(Relaxed)
    }

    /// Takes one request from the maximum; false if none is left.
    fn take(&self) -> bool {
        let is_left = self.sent.fetch_add(1, Relaxed) < self.max_requests;
        if !is_left {
            self.exhausted.notify_one();
        }
        is_left
    }

    fn count(&self, call: Call, outcome: &Outcome) {
        let counter = match outcome {
            Ok(()) => &self.correct,
            Err(Failure::Refused { .. }) => &self.refused,
            Err(Failure::Error(_)) => &self.errors,
        };
        counter.fetch_add(1, Relaxed);
        self.placed.fetch_add(u64::from(outcome.is_ok() && call == Call::CreateOrder), Relaxed);
    }
}

/// Runs the callers, each of which sends its next request after the previous response.
pub(crate) async fn closed(
    callers: impl Iterator<Item = Caller>,
    mix: &Mix,
    load: &Arc<Load>,
    measure_from: Instant,
) -> anyhow::Result<Tallies> {
    let mut running = JoinSet::new();
    for (number, caller) in (0..).zip(callers) {
        running.spawn(call_until_stopped(caller, number * TURNS_APART, mix.clone(), Arc::clone(load), measure_from));
    }
    let mut tallies = Tallies::default();
    while let Some(caller) = running.join_next().await {
        tallies.add(&caller??)?;
    }
    Ok(tallies)
}

async fn call_until_stopped(
    mut caller: Caller,
    mut turn: u64,
    mix: Mix,
    load: Arc<Load>,
    measure_from: Instant,
) -> anyhow::Result<Tallies> {
    let mut tallies = Tallies::default();
    while !load.is_stopped() {
        turn += 1;
        let sent = Instant::now();
        if sent >= measure_from && !load.take() {
            break;
        }
        let call = mix.at(turn);
        let outcome = caller.call(call, turn).await;
        let answered = Instant::now();
        let is_failure = outcome.is_err();
        load.count(call, &outcome);
        if answered >= measure_from {
            tallies.record(call, outcome, Some(answered - sent), !load.is_stopped())?;
        }
        if is_failure {
            sleep(PAUSE_AFTER_ERROR).await;
        }
    }
    Ok(tallies)
}

/// Starts calls at the pace, at most `max_in_flight` at once. Latencies count from the intended start. Returns how many
/// calls of the measured time could not be started, too.
pub(crate) async fn open(
    callers: Vec<Caller>,
    mix: Mix,
    pace: Pace,
    max_in_flight: usize,
    load: Arc<Load>,
    measure_from: Instant,
) -> anyhow::Result<(Tallies, u64)> {
    let mut tallies = Tallies::default();
    let mut callers = callers.iter().cycle();
    let begin = |turn, intended| {
        if intended >= measure_from && !load.take() {
            return None;
        }
        let (mut caller, call, load) = (callers.next()?.clone(), mix.at(turn), Arc::clone(&load));
        Some(async move {
            let outcome = caller.call(call, turn).await;
            load.count(call, &outcome);
            Ended { call, outcome, intended, answered: Instant::now(), is_in_time: !load.is_stopped() }
        })
    };
    let ended = |ended: Ended| {
        let latency = (ended.intended >= measure_from).then(|| ended.answered - ended.intended);
        let is_in_time = ended.is_in_time && ended.answered >= measure_from;
        tallies.record(ended.call, ended.outcome, latency, is_in_time)
    };
    let not_started = pace::run(pace, max_in_flight, measure_from, load.stopped.notified(), begin, ended).await?;
    Ok((tallies, not_started))
}

/// A call at a fixed rate that has ended.
struct Ended {
    call: Call,
    outcome: Outcome,
    intended: Instant,
    answered: Instant,
    is_in_time: bool,
}
