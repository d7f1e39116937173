//! What became of the calls.

use std::{collections::BTreeMap, time::Duration};

use client::code_name;
use hdrhistogram::Histogram;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::mix::Call;

/// The maximum latency that is recorded; the deadline ends calls earlier.
const MAX_LATENCY_US: u64 = 10_000_000;
const SIGNIFICANT_DIGITS: u8 = 3;

/// Why a call has no correct response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The server answered that it takes no more calls now.
    Refused { reason: String, has_retry_info: bool },
    /// Everything else, by gRPC code and reason.
    Error(String),
}

/// The outcome of a call whose response is checked.
pub(crate) type Outcome = Result<(), Failure>;

impl From<&Status> for Failure {
    fn from(status: &Status) -> Self {
        let reason = format!("{} {}", code_name(status.code()), jumun_core::reason_of(status)).trim_end().to_owned();
        // A status with a source comes from the connection, not from the server.
        let is_of_server = std::error::Error::source(status).is_none();
        if is_of_server && matches!(status.code(), Code::ResourceExhausted | Code::Unavailable) {
            let delay = status.get_details_retry_info().and_then(|info| info.retry_delay);
            return Self::Refused { reason, has_retry_info: delay.is_some() };
        }
        Self::Error(reason)
    }
}

/// The outcomes of the calls of one method.
pub(crate) struct Tally {
    /// Latencies of correct responses, in microseconds.
    pub(crate) latencies: Histogram<u32>,
    /// Number of correct responses within the measured time.
    pub(crate) in_time: u64,
    /// Number of errors by gRPC code and reason.
    pub(crate) errors: BTreeMap<String, u64>,
    /// Number of refusals by gRPC code and reason.
    pub(crate) refusals: BTreeMap<String, u64>,
    /// Number of refusals that say when to try again.
    pub(crate) refusals_with_retry_info: u64,
}

impl Tally {
    pub(crate) fn new() -> anyhow::Result<Self> {
        Ok(Self {
            latencies: Histogram::new_with_max(MAX_LATENCY_US, SIGNIFICANT_DIGITS)?,
            in_time: 0,
            errors: BTreeMap::new(),
            refusals: BTreeMap::new(),
            refusals_with_retry_info: 0,
        })
    }

    pub(crate) fn errors(&self) -> u64 {
        self.errors.values().sum()
    }

    pub(crate) fn refusals(&self) -> u64 {
        self.refusals.values().sum()
    }

    fn record(&mut self, outcome: Outcome, latency: Duration) {
        match outcome {
            Ok(()) => self.latencies.saturating_record(u64::try_from(latency.as_micros()).unwrap_or(MAX_LATENCY_US)),
            Err(Failure::Refused { reason, has_retry_info }) => {
                *self.refusals.entry(reason).or_default() += 1;
                self.refusals_with_retry_info += u64::from(has_retry_info);
            }
            Err(Failure::Error(error)) => *self.errors.entry(error).or_default() += 1,
        }
    }

    pub(crate) fn add(&mut self, other: &Self) -> anyhow::Result<()> {
        self.latencies.add(&other.latencies)?;
        self.in_time += other.in_time;
        self.refusals_with_retry_info += other.refusals_with_retry_info;
        for (counts, others) in [(&mut self.errors, &other.errors), (&mut self.refusals, &other.refusals)] {
            for (reason, count) in others {
                *counts.entry(reason.clone()).or_default() += count;
            }
        }
        Ok(())
    }
}

/// The outcomes of all calls, by method.
#[derive(Default)]
pub(crate) struct Tallies(pub(crate) BTreeMap<Call, Tally>);

impl Tallies {
    /// Records a call. `latency` is `None` for a call that only counts as a response within the measured time.
    pub(crate) fn record(
        &mut self,
        call: Call,
        outcome: Outcome,
        latency: Option<Duration>,
        is_in_time: bool,
    ) -> anyhow::Result<()> {
        let tally = self.of(call)?;
        tally.in_time += u64::from(is_in_time && outcome.is_ok());
        if let Some(latency) = latency {
            tally.record(outcome, latency);
        }
        Ok(())
    }

    pub(crate) fn add(&mut self, other: &Self) -> anyhow::Result<()> {
        other.0.iter().try_for_each(|(call, tally)| self.of(*call)?.add(tally))
    }

    /// All methods together.
    pub(crate) fn total(&self) -> anyhow::Result<Tally> {
        let mut total = Tally::new()?;
        self.0.values().try_for_each(|tally| total.add(tally))?;
        Ok(total)
    }

    fn of(&mut self, call: Call) -> anyhow::Result<&mut Tally> {
        use std::collections::btree_map::Entry;
        Ok(match self.0.entry(call) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(Tally::new()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use tonic_types::ErrorDetails;

    use super::*;

    fn status(code: Code, retry: Option<Duration>) -> Status {
        let mut details = ErrorDetails::new();
        details.set_retry_info(retry);
        Status::with_error_details(code, "no", details)
    }

    #[test]
    fn refusals_are_counted_apart_from_errors() {
        let mut tallies = Tallies::default();
        let second = Some(Duration::from_secs(1));
        for status in [
            status(Code::ResourceExhausted, second),
            status(Code::Unavailable, second),
            Status::unavailable("a proxy without details"),
            status(Code::Internal, None),
            Status::from_error(Box::new(std::io::Error::other("the connection"))),
        ] {
            tallies.record(Call::Echo, Err(Failure::from(&status)), second, true).expect("a tally");
        }
        let tally = tallies.total().expect("a tally");
        assert_eq!((tally.refusals(), tally.refusals_with_retry_info, tally.errors()), (3, 2, 2));
        assert_eq!((tally.in_time, tally.latencies.len()), (0, 0));
    }

    #[test]
    fn a_connection_that_fails_is_an_error() {
        let mut status = Status::unavailable("broken");
        status.set_source(std::sync::Arc::new(std::io::Error::other("the connection")));
        assert_eq!(Failure::from(&status), Failure::Error("UNAVAILABLE".to_owned()));
    }

    #[test]
    fn methods_add_up_to_quantiles_of_all() {
        let (mut one, mut other) = (Tallies::default(), Tallies::default());
        for millis in 1..=90 {
            one.record(Call::Echo, Ok(()), Some(Duration::from_millis(millis)), true).expect("a tally");
        }
        for millis in 91..=100 {
            other.record(Call::GetOrder, Ok(()), Some(Duration::from_millis(millis)), false).expect("a tally");
        }
        one.add(&other).expect("a tally");
        let total = one.total().expect("a tally");
        let millis = |quantile| total.latencies.value_at_quantile(quantile) / 1000;
        assert_eq!((millis(0.5), millis(0.9), millis(0.99), millis(1.0)), (50, 90, 99, 100));
        assert_eq!(total.in_time, 90);
    }
}
