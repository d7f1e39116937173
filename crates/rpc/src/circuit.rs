//! The circuit to another context: a circuit breaker and a retry budget for all calls from one context to another.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tonic::{Code, Status};

use jumun_core::{Error, reason_of, reasons, time::Instant};

use crate::{
    breaker::{Breaker, Counts, Outcome, SLOW, Sent, State},
    retry_budget::RetryBudget,
};

/// The shortest retry delay of CIRCUIT_OPEN: the last microseconds of an open circuit are not a useful hint.
const MIN_RETRY_AFTER: Duration = Duration::from_millis(100);

/// The circuit of all calls from `caller` to `callee`.
#[derive(Debug)]
pub struct Circuit {
    caller: &'static str,
    callee: String,
    /// Without protection every call is sent, and every retry is permitted.
    is_protected: bool,
    start: Instant,
    breaker: Mutex<Breaker>,
    budget: RetryBudget,
    /// Calls that were not sent, and retries, since the start.
    rejected: AtomicU64,
    retried: AtomicU64,
}

/// The present state and counts of a circuit.
pub struct CircuitStatus {
    /// The state of the breaker.
    pub state: State,
    /// The calls within the breaker's window.
    pub counts: Counts,
    /// Retries left in the budget.
    pub retries_left: i64,
    /// Calls that were not sent, since the start.
    pub rejected: u64,
    /// Retries, since the start.
    pub retried: u64,
    /// How long until the next call is sent; None: calls are sent now.
    pub retry_after: Option<Duration>,
}

impl Circuit {
    /// A closed circuit with a full retry budget.
    pub fn new(caller: &'static str, callee: &str, is_protected: bool) -> Self {
        Self {
            caller,
            callee: callee.to_owned(),
            is_protected,
            start: Instant::now(),
            breaker: Mutex::new(Breaker::new()),
            budget: RetryBudget::new(),
            rejected: AtomicU64::new(0),
            retried: AtomicU64::new(0),
        }
    }

    /// `caller-to-callee`.
    pub fn name(&self) -> String {
        format!("{}-to-{}", self.caller, self.callee)
    }

    /// Fails with CIRCUIT_OPEN while a call would not be sent.
    pub fn check(&self) -> Result<(), Error> {
        if !self.is_protected {
            return Ok(());
        }
        let checked = self.breaker().check(self.start.elapsed());
        checked.map_err(|wait| self.reject(wait))
    }

    /// Permits a call with this timeout, or fails with CIRCUIT_OPEN.
    pub fn send(self: &Arc<Self>, timeout: Duration) -> Result<Call, Error> {
        let now = self.start.elapsed();
        let sent = if self.is_protected { Some(self.breaker().send(now)) } else { None };
        let sent = sent.transpose().map_err(|wait| self.reject(wait))?;
        self.budget.earn();
        Ok(Call { circuit: self.clone(), sent, began: now, timeout })
    }

    /// Whether a call that ended with this status may be retried. A permitted retry is taken from the budget.
    pub fn may_retry(&self, status: &Status) -> bool {
        let may = is_retryable(status) && (!self.is_protected || self.budget.spend());
        self.retried.fetch_add(u64::from(may), Relaxed);
        may
    }

    /// The present state and counts.
    pub fn status_now(&self) -> CircuitStatus {
        let now = self.start.elapsed();
        let breaker = self.breaker();
        CircuitStatus {
            state: breaker.state(),
            counts: breaker.counts(now),
            retries_left: self.budget.left(),
            rejected: self.rejected.load(Relaxed),
            retried: self.retried.load(Relaxed),
            retry_after: breaker.check(now).err(),
        }
    }

    fn reject(&self, wait: Duration) -> Error {
        self.rejected.fetch_add(1, Relaxed);
        let message = format!("{} does not answer at present, so it was not called", self.callee);
        Error::new(&reasons::CIRCUIT_OPEN, message)
            .retry_after(wait.max(MIN_RETRY_AFTER))
            .with("callee", self.callee.as_str())
    }

    fn record(&self, sent: Sent, outcome: Outcome, now: Duration) {
        if self.breaker().record(sent, outcome, now) {
            tracing::warn!(
                caller = self.caller,
                callee = self.callee,
                "the circuit opened: calls are rejected for a while"
            );
        }
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call in flight. Dropped before [`Call::end`], it counts as cancelled by its caller.
#[derive(Debug)]
pub struct Call {
    circuit: Arc<Circuit>,
    sent: Option<Sent>,
    began: Duration,
    timeout: Duration,
}

impl Call {
    /// Records the code that the call ended with.
    pub fn end(mut self, code: Code) {
        if let Some(sent) = self.sent.take() {
            let now = self.circuit.start.elapsed();
            self.circuit.record(sent, outcome(code, now.saturating_sub(self.began), self.timeout), now);
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if let Some(sent) = self.sent.take() {
            self.circuit.record(sent, Outcome::Ignored, self.circuit.start.elapsed());
        }
    }
}

/// The outcome of a call for the breaker. A business error is an answer. RESOURCE_EXHAUSTED is ignored: counted as a
/// failure it would stop a callee that works at its limit, and counted as an answer it would hide one that does
/// nothing.
fn outcome(code: Code, took: Duration, timeout: Duration) -> Outcome {
    match code {
        // The timeout was too short to say anything about the callee.
        Code::DeadlineExceeded if timeout < SLOW => Outcome::Ignored,
        Code::Unavailable | Code::DeadlineExceeded | Code::Internal | Code::Unknown => Outcome::Failed,
        Code::Cancelled | Code::ResourceExhausted => Outcome::Ignored,
        _ if took > SLOW => Outcome::Slow,
        _ => Outcome::Answered,
    }
}

/// Whether another replica may answer: this one was unavailable, or did not answer in time. An error with a reason of
/// its own, e.g. that an external provider does not answer, would be the same again.
fn is_retryable(status: &Status) -> bool {
    match (status.code(), reason_of(status).as_str()) {
        (Code::Unavailable, reason) => reason != reasons::CIRCUIT_OPEN.name,
        (Code::DeadlineExceeded, reason) => reason.is_empty() || reason == reasons::DEADLINE_EXCEEDED.name,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jumun_core::Reason;

    use crate::{breaker::MIN_CALLS, retry_budget::MAX_SAVED};

    const PROVIDER_TIMED_OUT: Reason = Reason::new("PROVIDER_TIMED_OUT", Code::DeadlineExceeded, 1, "", "");
    const LONG: Duration = Duration::from_secs(2);

    fn circuit(is_protected: bool) -> Arc<Circuit> {
        Arc::new(Circuit::new("things", "shelves", is_protected))
    }

    fn fail(circuit: &Arc<Circuit>, code: Code) {
        circuit.send(LONG).expect("it is sent").end(code);
    }

    #[test]
    fn only_faults_count_and_business_refusals_never_do() {
        for code in [Code::Unavailable, Code::DeadlineExceeded, Code::Internal, Code::Unknown] {
            assert_eq!(outcome(code, Duration::ZERO, LONG), Outcome::Failed, "{code:?}");
        }
        for code in [Code::Ok, Code::FailedPrecondition, Code::InvalidArgument, Code::NotFound] {
            assert_eq!(outcome(code, Duration::ZERO, LONG), Outcome::Answered, "{code:?}");
        }
        assert_eq!(outcome(Code::Ok, SLOW * 2, LONG), Outcome::Slow);
        assert_eq!(outcome(Code::ResourceExhausted, Duration::ZERO, LONG), Outcome::Ignored);
        assert_eq!(outcome(Code::DeadlineExceeded, SLOW / 2, SLOW / 2), Outcome::Ignored, "the timeout was short");
    }

    #[test]
    fn an_open_circuit_says_so_and_when_to_retry() {
        let circuit = circuit(true);
        (0..MIN_CALLS).for_each(|_| fail(&circuit, Code::Unavailable));
        let error = circuit.check().expect_err("it is open");
        assert_eq!((error.code, error.reason), (Code::Unavailable, "CIRCUIT_OPEN"));
        assert!(error.retry_after.is_some_and(|wait| !wait.is_zero()));
        assert!(circuit.send(LONG).is_err());
        assert_eq!(circuit.status_now().rejected, 2);
        assert!(!circuit.may_retry(&error.into()), "a rejected call is not retried");
    }

    #[test]
    fn no_retry_delay_is_too_short_to_be_a_hint() {
        let hints =
            [Duration::from_nanos(1), Duration::from_secs(2)].map(|wait| circuit(true).reject(wait).retry_after);
        assert_eq!(hints, [Some(MIN_RETRY_AFTER), Some(Duration::from_secs(2))]);
    }

    #[test]
    fn without_protection_every_call_is_sent_and_may_be_retried() {
        let circuit = circuit(false);
        for _ in 0..1000 {
            fail(&circuit, Code::Unavailable);
            assert!(circuit.check().is_ok() && circuit.may_retry(&Status::unavailable("away")));
        }
    }

    #[test]
    fn a_retry_is_for_an_unavailable_callee_and_within_the_budget() {
        let circuit = circuit(true);
        assert!(!circuit.may_retry(&Status::failed_precondition("no")));
        assert!(!circuit.may_retry(&Status::resource_exhausted("busy")));
        assert!(!circuit.may_retry(&Error::new(&PROVIDER_TIMED_OUT, "no answer from outside").into()));
        assert!(circuit.may_retry(&Status::deadline_exceeded("no answer")));
        assert!(circuit.may_retry(&Error::deadline_exceeded("no answer").into()));
        let again = (0..1000).filter(|_| circuit.may_retry(&Status::unavailable("away")));
        assert_eq!(again.count() + 2, MAX_SAVED as usize, "what was saved, less the two above");
    }
}
