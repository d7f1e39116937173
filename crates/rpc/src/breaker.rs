//! A circuit breaker: whoever does not answer is not asked again and again.
//!
//! ```text
//!             half of the calls failed, or most were slow
//!  CLOSED ───────────────────────────────────────────────▶ OPEN ◀──┐
//!    ▲                                                       │     │ a probe failed or was slow
//!    │ every probe of a few went well                 a while later│
//!    └───────────────────────── HALF_OPEN ◀──────────────────┘     │
//!                                   └──────────────────────────────┘
//! ```
//!
//! Pure: the clock is given.

#[cfg(test)]
mod tests;

use std::time::Duration;

/// What is judged happened within this time, kept in so many parts.
const WINDOW: Duration = Duration::from_secs(10);
const PARTS: usize = 10;
/// Fewer calls than this say nothing.
pub(crate) const MIN_CALLS: u32 = 20;
/// It opens when so many in a hundred failed, or were slow.
const MAX_FAILED_PERCENT: u32 = 50;
const MAX_SLOW_PERCENT: u32 = 80;
/// A call is slow that takes longer.
pub(crate) const SLOW: Duration = Duration::from_secs(1);
/// How long nothing is sent.
pub(crate) const OPEN_FOR: Duration = Duration::from_secs(2);
/// Probes at once, and those that must go well in a row.
pub(crate) const PROBES: u32 = 5;

/// What a call came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was answered, perhaps by a refusal.
    Answered,
    /// It was answered late.
    Slow,
    /// It was not answered, or by a fault.
    Failed,
    /// Nothing was told of him: nobody waited for the answer, or there was too much at once.
    Ignored,
}

/// Whether calls are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// They are.
    Closed,
    /// They are not, until then.
    Open(Duration),
    /// A few are, to see: so many are under way, and so many went well.
    HalfOpen {
        /// Probes that are under way.
        under_way: u32,
        /// Probes that went well in a row.
        went_well: u32,
    },
}

/// Calls of one part of the window.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// All of them.
    pub calls: u32,
    /// Those that failed.
    pub failed: u32,
    /// Those that took longer than a call should.
    pub slow: u32,
}

/// A call that may be sent; what it comes to counts only while the state that let it go lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sent(u64);

#[derive(Debug)]
pub(crate) struct Breaker {
    state: State,
    /// Goes up with each change of the state.
    generation: u64,
    parts: [Counts; PARTS],
    /// The part that is being counted in, since the start.
    part: u64,
}

impl Breaker {
    pub(crate) fn new() -> Self {
        Self { state: State::Closed, generation: 0, parts: [Counts::default(); PARTS], part: 0 }
    }

    /// Whether a call would be sent now; else how long to wait.
    pub(crate) fn check(&self, now: Duration) -> Result<(), Duration> {
        match self.state {
            State::Open(until) if now < until => Err(until - now),
            State::HalfOpen { under_way, .. } if under_way >= PROBES => Err(OPEN_FOR),
            _ => Ok(()),
        }
    }

    /// Lets a call go, to be recorded later; else how long to wait.
    pub(crate) fn send(&mut self, now: Duration) -> Result<Sent, Duration> {
        self.check(now)?;
        if matches!(self.state, State::Open(_)) {
            self.turn(State::HalfOpen { under_way: 0, went_well: 0 });
        }
        if let State::HalfOpen { under_way, .. } = &mut self.state {
            *under_way += 1;
        }
        Ok(Sent(self.generation))
    }

    /// Notes what a call came to; true when that opened the circuit.
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
            State::HalfOpen { under_way, went_well } => {
                *under_way -= 1;
                *went_well += u32::from(outcome == Outcome::Answered);
                if *went_well >= PROBES {
                    self.parts = [Counts::default(); PARTS];
                    self.turn(State::Closed);
                }
                matches!(outcome, Outcome::Failed | Outcome::Slow)
            }
            State::Open(_) => false,
        };
        if opens {
            self.turn(State::Open(now + OPEN_FOR));
        }
        opens
    }

    pub(crate) fn state(&self) -> State {
        self.state
    }

    /// What happened within the window.
    pub(crate) fn counts(&self, now: Duration) -> Counts {
        let oldest = part_at(now).saturating_sub(PARTS as u64 - 1);
        let parts = (oldest..=self.part).map(|part| self.parts[place(part)]);
        parts.fold(Counts::default(), |sum, part| Counts {
            calls: sum.calls + part.calls,
            failed: sum.failed + part.failed,
            slow: sum.slow + part.slow,
        })
    }

    fn count(&mut self, outcome: Outcome, now: Duration) {
        let part = part_at(now).max(self.part);
        // What is older than the window makes room.
        for passed in (self.part + 1..=part).rev().take(PARTS) {
            self.parts[place(passed)] = Counts::default();
        }
        self.part = part;
        let counts = &mut self.parts[place(part)];
        counts.calls += u32::from(outcome != Outcome::Ignored);
        counts.failed += u32::from(outcome == Outcome::Failed);
        counts.slow += u32::from(outcome == Outcome::Slow);
    }

    fn turn(&mut self, state: State) {
        self.state = state;
        self.generation += 1;
    }
}

fn part_at(now: Duration) -> u64 {
    u64::try_from(now.as_millis() / (WINDOW.as_millis() / PARTS as u128)).unwrap_or(u64::MAX)
}

fn place(part: u64) -> usize {
    usize::try_from(part % PARTS as u64).unwrap_or_default()
}
