//! A circuit breaker: stops calls to a callee while most of them fail or are slow.
//!
//! ```text
//!             half of the calls failed, or most were slow
//!  CLOSED ───────────────────────────────────────────────▶ OPEN ◀──┐
//!    ▲                                                       │     │ a probe failed or was slow
//!    │ PROBES probes succeeded                      after OPEN_FOR │
//!    └───────────────────────── HALF_OPEN ◀──────────────────┘     │
//!                                   └──────────────────────────────┘
//! ```
//!
//! Pure: callers pass the time, as the duration since a fixed start.

#[cfg(test)]
mod tests;

use std::time::Duration;

/// The sliding window of calls that are evaluated, and the number of parts it is kept in.
const WINDOW: Duration = Duration::from_secs(10);
const PARTS: usize = 10;
/// With fewer calls in the window the circuit stays closed.
pub(crate) const MIN_CALLS: u32 = 20;
/// The circuit opens at this percentage of failed, or of slow, calls.
const MAX_FAILED_PERCENT: u32 = 50;
const MAX_SLOW_PERCENT: u32 = 80;
/// A call that takes longer is slow.
pub(crate) const SLOW: Duration = Duration::from_secs(1);
/// How long an open circuit rejects every call.
pub(crate) const OPEN_FOR: Duration = Duration::from_secs(2);
/// Probes in flight at most while half open, and successful probes that close the circuit.
pub(crate) const PROBES: u32 = 5;

/// The outcome of a call, as the breaker counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The callee answered, successfully or with a business error.
    Answered,
    /// The callee answered after more than [`SLOW`].
    Slow,
    /// The callee did not answer, or failed with a fault.
    Failed,
    /// The call says nothing about the callee: it was cancelled, or rejected for overload.
    Ignored,
}

/// The state of a circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Every call is sent.
    Closed,
    /// No call is sent before this time.
    Open(Duration),
    /// A few calls are sent as probes.
    HalfOpen {
        /// Probes in flight.
        in_flight: u32,
        /// Consecutive successful probes.
        successes: u32,
    },
}

/// Counts of calls within the window.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Calls with an outcome, [`Outcome::Ignored`] excepted.
    pub calls: u32,
    /// Failed calls.
    pub failed: u32,
    /// Slow calls.
    pub slow: u32,
}

/// A call that was sent, by the breaker's generation: its outcome counts only if the state did not change meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sent(u64);

#[derive(Debug)]
pub(crate) struct Breaker {
    state: State,
    /// Incremented with each change of the state.
    generation: u64,
    parts: [Counts; PARTS],
    /// The number of the current part, since the start.
    part: u64,
}

impl Breaker {
    pub(crate) fn new() -> Self {
        Self { state: State::Closed, generation: 0, parts: [Counts::default(); PARTS], part: 0 }
    }

    /// Whether a call would be sent now. Err: how long to wait.
    pub(crate) fn check(&self, now: Duration) -> Result<(), Duration> {
        match self.state {
            State::Open(until) if now < until => Err(until - now),
            State::HalfOpen { in_flight, .. } if in_flight >= PROBES => Err(OPEN_FOR),
            _ => Ok(()),
        }
    }

    /// Permits a call, whose outcome must be recorded. Err: how long to wait.
    pub(crate) fn send(&mut self, now: Duration) -> Result<Sent, Duration> {
        self.check(now)?;
        if matches!(self.state, State::Open(_)) {
            self.change(State::HalfOpen { in_flight: 0, successes: 0 });
        }
        if let State::HalfOpen { in_flight, .. } = &mut self.state {
            *in_flight += 1;
        }
        Ok(Sent(self.generation))
    }

    /// Records the outcome of a call; true when it opened the circuit.
    pub(crate) fn record(&mut self, sent: Sent, outcome: Outcome, now: Duration) -> bool {
        if sent.0 != self.generation {
            return false;
        }
        let opens = match &mut self.state {
            State::Closed => {
                self.count(outcome, now);
                let Counts { calls, failed, slow } = self.counts(now);
                calls >= MIN_CALLS
                    && (failed * 100 >= calls * MAX_FAILED_PERCENT || slow * 100 >= calls * MAX_SLOW_PERCENT)
            }
            State::HalfOpen { in_flight, successes } => {
                *in_flight -= 1;
                *successes += u32::from(outcome == Outcome::Answered);
                if *successes >= PROBES {
                    self.parts = [Counts::default(); PARTS];
                    self.change(State::Closed);
                }
                matches!(outcome, Outcome::Failed | Outcome::Slow)
            }
            State::Open(_) => false,
        };
        if opens {
            self.change(State::Open(now + OPEN_FOR));
        }
        opens
    }

    pub(crate) fn state(&self) -> State {
        self.state
    }

    /// The calls within the window.
    pub(crate) fn counts(&self, now: Duration) -> Counts {
        let oldest = part_at(now).saturating_sub(PARTS as u64 - 1);
        let parts = (oldest..=self.part).map(|part| self.parts[slot(part)]);
        parts.fold(Counts::default(), |sum, part| Counts {
            calls: sum.calls + part.calls,
            failed: sum.failed + part.failed,
            slow: sum.slow + part.slow,
        })
    }

    fn count(&mut self, outcome: Outcome, now: Duration) {
        let part = part_at(now).max(self.part);
        // Clears the parts that left the window.
        for expired in (self.part + 1..=part).rev().take(PARTS) {
            self.parts[slot(expired)] = Counts::default();
        }
        self.part = part;
        let counts = &mut self.parts[slot(part)];
        counts.calls += u32::from(outcome != Outcome::Ignored);
        counts.failed += u32::from(outcome == Outcome::Failed);
        counts.slow += u32::from(outcome == Outcome::Slow);
    }

    fn change(&mut self, state: State) {
        self.state = state;
        self.generation += 1;
    }
}

fn part_at(now: Duration) -> u64 {
    u64::try_from(now.as_millis() / (WINDOW.as_millis() / PARTS as u128)).unwrap_or(u64::MAX)
}

fn slot(part: u64) -> usize {
    usize::try_from(part % PARTS as u64).unwrap_or_default()
}
