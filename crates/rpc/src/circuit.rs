//! What stands before each context that is called: a circuit breaker and a budget of retries.

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

/// Nobody is asked to come again sooner: an open circuit's last microseconds are no hint.
const MIN_RETRY_AFTER: Duration = Duration::from_millis(100);

/// The circuit of all calls from one context to another.
#[derive(Debug)]
pub struct Circuit {
    caller: &'static str,
    callee: String,
    /// Unprotected, everything is sent.
    is_protected: bool,
    start: Instant,
    breaker: Mutex<Breaker>,
    budget: RetryBudget,
    /// Calls that were not sent, and those that were sent again.
    rejected: AtomicU64,
    retried: AtomicU64,
}

/// A circuit as it is now.
pub struct CircuitStatus {
    /// Whether calls are sent.
    pub state: State,
    /// The calls of the window.
    pub counts: Counts,
    /// Retries that the budget allows.
    pub retries_left: i64,
    /// Calls that were not sent, since the start.
    pub rejected: u64,
    /// Calls that were sent again, since the start.
    pub retried: u64,
    /// When the circuit is tried again, from now.
    pub tried_in: Option<Duration>,
}

impl Circuit {
    /// A closed circuit between two contexts.
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

    /// Fails while a call would not be sent.
    pub fn check(&self) -> Result<(), Error> {
        if !self.is_protected {
            return Ok(());
        }
        let checked = self.breaker().check(self.start.elapsed());
        checked.map_err(|wait| self.reject(wait))
    }

    /// Lets a call of at most `timeout` go.
    pub fn send(self: &Arc<Self>, timeout: Duration) -> Result<Call, Error> {
        let now = self.start.elapsed();
        let sent = if self.is_protected { Some(self.breaker().send(now)) } else { None };
        let sent = sent.transpose().map_err(|wait| self.reject(wait))?;
        self.budget.earn();
        Ok(Call { circuit: self.clone(), sent, began: now, timeout })
    }

    /// Takes a retry out of the budget for a call that ended so, when one may help.
    pub fn may_retry(&self, status: &Status) -> bool {
        let may = helps(status) && (!self.is_protected || self.budget.spend());
        self.retried.fetch_add(u64::from(may), Relaxed);
        may
    }

    /// How it is now.
    pub fn status_now(&self) -> CircuitStatus {
        let now = self.start.elapsed();
        let breaker = self.breaker();
        CircuitStatus {
            state: breaker.state(),
            counts: breaker.counts(now),
            retries_left: self.budget.left(),
            rejected: self.rejected.load(Relaxed),
            retried: self.retried.load(Relaxed),
            tried_in: breaker.check(now).err(),
        }
    }

    fn reject(&self, wait: Duration) -> Error {
        self.rejected.fetch_add(1, Relaxed);
        let message = format!("{} does not answer at present, so it was not asked", self.callee);
        Error::new(&reasons::CIRCUIT_OPEN, message)
            .retry_after(wait.max(MIN_RETRY_AFTER))
            .with("callee", self.callee.as_str())
    }

    fn record(&self, sent: Sent, outcome: Outcome, now: Duration) {
        if self.breaker().record(sent, outcome, now) {
            tracing::warn!(
                caller = self.caller,
                callee = self.callee,
                "the circuit is open: nothing is sent for a while"
            );
        }
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call under way. Dropped without its end, its caller went away.
#[derive(Debug)]
pub struct Call {
    circuit: Arc<Circuit>,
    sent: Option<Sent>,
    began: Duration,
    timeout: Duration,
}

impl Call {
    /// Notes how it ended.
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

/// What the end of a call says about whoever was called. A refusal shows that he is there. "Too much at once" says
/// nothing: counted as a fault it would stop what he can do, and counted as an answer it would hide that he does nothing.
fn outcome(code: Code, took: Duration, timeout: Duration) -> Outcome {
    match code {
        // A caller in too great a hurry says nothing about him.
        Code::DeadlineExceeded if timeout < SLOW => Outcome::Ignored,
        Code::Unavailable | Code::DeadlineExceeded | Code::Internal | Code::Unknown => Outcome::Failed,
        Code::Cancelled | Code::ResourceExhausted => Outcome::Ignored,
        _ if took > SLOW => Outcome::Slow,
        _ => Outcome::Answered,
    }
}

/// Whether another replica may do better: this one was away, or gave no answer in time. What somebody gave an answer to
/// that says why, e.g. that a provider outside does not answer, would end the same way again.
fn helps(status: &Status) -> bool {
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
        assert_eq!(outcome(Code::DeadlineExceeded, SLOW / 2, SLOW / 2), Outcome::Ignored, "its caller was in a hurry");
    }

    #[test]
    fn an_open_circuit_says_so_and_when_to_come_again() {
        let circuit = circuit(true);
        (0..MIN_CALLS).for_each(|_| fail(&circuit, Code::Unavailable));
        let error = circuit.check().expect_err("it is open");
        assert_eq!((error.code, error.reason), (Code::Unavailable, "CIRCUIT_OPEN"));
        assert!(error.retry_after.is_some_and(|wait| !wait.is_zero()));
        assert!(circuit.send(LONG).is_err());
        assert_eq!(circuit.status_now().rejected, 2);
        assert!(!circuit.may_retry(&error.into()), "what was not sent is not sent again");
    }

    #[test]
    fn nobody_is_asked_to_come_again_at_once() {
        let hints =
            [Duration::from_nanos(1), Duration::from_secs(2)].map(|wait| circuit(true).reject(wait).retry_after);
        assert_eq!(hints, [Some(MIN_RETRY_AFTER), Some(Duration::from_secs(2))]);
    }

    #[test]
    fn without_protection_everything_is_sent_and_may_be_sent_again() {
        let circuit = circuit(false);
        for _ in 0..1000 {
            fail(&circuit, Code::Unavailable);
            assert!(circuit.check().is_ok() && circuit.may_retry(&Status::unavailable("away")));
        }
    }

    #[test]
    fn a_retry_is_for_what_is_away_and_within_the_budget() {
        let circuit = circuit(true);
        assert!(!circuit.may_retry(&Status::failed_precondition("no")));
        assert!(!circuit.may_retry(&Status::resource_exhausted("busy")));
        assert!(!circuit.may_retry(&Error::new(&PROVIDER_TIMED_OUT, "no answer from outside").into()));
        assert!(circuit.may_retry(&Status::deadline_exceeded("no answer")));
        assert!(circuit.may_retry(&Error::deadline_exceeded("no answer").into()));
        let again = (0..1000).filter(|_| circuit.may_retry(&Status::unavailable("away")));
        assert_eq!(again.count() + 2, MAX_SAVED as usize, "what was saved, but for the two above");
    }
}
