//! The retry budget: limits retries to a tenth of the calls, because a retry storm would bring down a slow callee.

use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

/// Tokens that each call earns, and that a retry costs: ten calls earn one retry.
const EARNED: i64 = 1;
const COST: i64 = 10;
/// Retries that can be saved up, and the budget at the start: as many as calls are in flight to a replica when it
/// crashes or hangs. All of them fail at once, and each must be retried so that clients see no error.
pub(crate) const MAX_SAVED: i64 = 128;

/// A token bucket of retries. In any period they are at most a tenth of the calls, and what was saved before.
#[derive(Debug)]
pub(crate) struct RetryBudget(AtomicI64);

impl RetryBudget {
    pub(crate) fn new() -> Self {
        Self(AtomicI64::new(MAX_SAVED * COST))
    }

    /// Counts a first attempt.
    pub(crate) fn earn(&self) {
        if self.0.load(Relaxed) < MAX_SAVED * COST {
            self.0.fetch_add(EARNED, Relaxed);
        }
    }

    /// Takes a retry; false if there is none.
    pub(crate) fn spend(&self) -> bool {
        self.0.fetch_update(Relaxed, Relaxed, |parts| (parts >= COST).then(|| parts - COST)).is_ok()
    }

    /// Whole retries left.
    pub(crate) fn left(&self) -> i64 {
        self.0.load(Relaxed) / COST
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn when_every_call_fails_one_in_ten_is_retried() {
        let budget = RetryBudget::new();
        let again = (0..10_000).filter(|_| {
            budget.earn();
            budget.spend()
        });
        assert_eq!(again.count() as i64, 1000 + MAX_SAVED - 1, "a tenth, and what was saved at the start");
    }

    proptest! {
        #[test]
        fn retries_never_exceed_a_tenth_of_the_calls_and_what_was_saved(calls in prop::collection::vec(any::<bool>(), 0..2000)) {
            let budget = RetryBudget::new();
            let (mut made, mut again) = (0, 0);
            for fails in calls {
                made += 1;
                budget.earn();
                again += i64::from(fails && budget.spend());
                prop_assert!(again <= MAX_SAVED + made / 10);
                prop_assert!((0..=MAX_SAVED).contains(&budget.left()));
            }
        }
    }
}
