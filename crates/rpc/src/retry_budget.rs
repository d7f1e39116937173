//! How many calls may be made a second time: a storm of them would bring down what is only limping.

use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

/// Parts of a retry that each call earns: ten calls earn one retry.
const EARNED: i64 = 1;
const COST: i64 = 10;
/// Retries that can be saved up, and those there are at the start: as many as the calls that are under way to a replica
/// when it is killed or hangs. All of them fail at once, and nobody is to notice.
pub(crate) const MAX_SAVED: i64 = 128;

/// Retries that may still be made. Over any time they are at most a tenth of the calls, and what was saved before.
#[derive(Debug)]
pub(crate) struct RetryBudget(AtomicI64);

impl RetryBudget {
    pub(crate) fn new() -> Self {
        Self(AtomicI64::new(MAX_SAVED * COST))
    }

    /// A call is made for the first time.
    pub(crate) fn earn(&self) {
        if self.0.load(Relaxed) < MAX_SAVED * COST {
            self.0.fetch_add(EARNED, Relaxed);
        }
    }

    /// Takes a retry, if there is one.
    pub(crate) fn spend(&self) -> bool {
        self.0.fetch_update(Relaxed, Relaxed, |parts| (parts >= COST).then(|| parts - COST)).is_ok()
    }

    /// Whole retries that are left.
    pub(crate) fn left(&self) -> i64 {
        self.0.load(Relaxed) / COST
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn when_everything_fails_one_call_in_ten_is_made_again() {
        let budget = RetryBudget::new();
        let again = (0..10_000).filter(|_| {
            budget.earn();
            budget.spend()
        });
        assert_eq!(again.count() as i64, 1000 + MAX_SAVED - 1, "a tenth, and what was saved before");
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
