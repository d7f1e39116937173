//! How far the consumers of the process are behind, and what that means for new work.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// Up to this age of the oldest waiting event, calls are not delayed. Beyond it they are delayed by the difference.
const CALM_AGE: Duration = Duration::from_millis(200);
/// At this age of the oldest waiting event, calls are refused.
const MAX_AGE: Duration = Duration::from_secs(1);

/// How long the oldest event of the process that a consumer is applying has waited.
#[derive(Debug, Default)]
pub struct Backlog(AtomicU64);

/// What happens to new work.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Pass,
    Delay(Duration),
    Refuse,
}

impl Backlog {
    /// Sets the age of the oldest waiting event; zero if none waits.
    pub fn set_age(&self, age: Duration) {
        self.0.store(u64::try_from(age.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }

    /// The age of the oldest waiting event.
    pub fn age(&self) -> Duration {
        Duration::from_micros(self.0.load(Relaxed))
    }

    pub(crate) fn verdict(&self) -> Verdict {
        match self.age() {
            age if age >= MAX_AGE => Verdict::Refuse,
            age if age > CALM_AGE => Verdict::Delay(age - CALM_AGE),
            _ => Verdict::Pass,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_delayed_by_the_age_of_the_oldest_event_and_refused_when_it_is_too_old() {
        let backlog = Backlog::default();
        let after = |millis| {
            backlog.set_age(Duration::from_millis(millis));
            backlog.verdict()
        };
        assert_eq!(after(0), Verdict::Pass);
        assert_eq!(after(200), Verdict::Pass);
        assert_eq!(after(260), Verdict::Delay(Duration::from_millis(60)));
        assert_eq!(after(999), Verdict::Delay(Duration::from_millis(799)));
        assert_eq!(after(1000), Verdict::Refuse);
        assert_eq!(after(60_000), Verdict::Refuse);
        assert_eq!(after(10), Verdict::Pass);
    }
}
