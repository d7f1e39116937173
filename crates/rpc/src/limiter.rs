//! The adaptive concurrency limit of one method: additive increase, multiplicative decrease (AIMD), as in TCP.
//!
//! The limit starts at its maximum. A call that a layer further in rejected for overload, or that took nearly its whole
//! deadline, is a sign of overload: the limit falls to nine tenths of the calls in flight. While at least half of the
//! limit is used, it grows by one for each round of successful calls.

use std::{
    sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// The limit at the start and at most: the length of an engine's queue.
pub(crate) const MAX_LIMIT: u32 = 4096;
/// The limit at least: some calls must be admitted to learn that the overload is over.
pub(crate) const MIN_LIMIT: u32 = 4;
/// The limit is stored in thousandths of a call, so that it can grow by fractions.
const PARTS: u64 = 1000;
/// The multiplicative decrease: the new limit, in tenths of the calls in flight at overload.
const DECREASE_TENTHS: u64 = 9;

/// What the end of a call tells the limiter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sample {
    /// The call succeeded in time.
    Success,
    /// The call was rejected for overload, or was too slow.
    Overload,
    /// The call says nothing, e.g. because its caller cancelled it.
    Ignored,
}

/// An adaptive concurrency limit.
#[derive(Debug)]
pub struct Limiter {
    in_flight: AtomicU32,
    limit: AtomicU64,
    /// When the limit fell last (µs): calls that began before say nothing about the new limit.
    fell: AtomicU64,
    refused: AtomicU64,
}

impl Limiter {
    /// A limiter at the maximum limit.
    pub(crate) fn new() -> Self {
        Self {
            in_flight: AtomicU32::new(0),
            limit: AtomicU64::new(u64::from(MAX_LIMIT) * PARTS),
            fell: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }

    /// Admits a call within the limit (true), or counts it as refused. An admitted call must be released.
    pub fn admit(&self) -> bool {
        let is_admitted = self.in_flight.fetch_add(1, Relaxed) < self.limit();
        if !is_admitted {
            self.in_flight.fetch_sub(1, Relaxed);
            self.refused.fetch_add(1, Relaxed);
        }
        is_admitted
    }

    /// Releases an admitted call that ended. `began` and `now` are durations since the same start.
    pub fn release(&self, sample: Sample, began: Duration, now: Duration) {
        let in_flight = self.in_flight.fetch_sub(1, Relaxed);
        match sample {
            Sample::Success => self.increase(in_flight),
            Sample::Overload => self.decrease(in_flight, began, now),
            Sample::Ignored => {}
        }
    }

    fn increase(&self, in_flight: u32) {
        let limit = self.limit.load(Relaxed);
        if limit < u64::from(MAX_LIMIT) * PARTS && u64::from(in_flight) * PARTS * 2 >= limit {
            self.limit.fetch_add(PARTS * PARTS / limit, Relaxed);
        }
    }

    fn decrease(&self, in_flight: u32, began: Duration, now: Duration) {
        let fell = self.fell.load(Relaxed);
        let began_after = micros(began) >= fell;
        if began_after && self.fell.compare_exchange(fell, micros(now).max(1), Relaxed, Relaxed).is_ok() {
            let overload = self.limit.load(Relaxed).min(u64::from(in_flight) * PARTS);
            self.limit.store((overload * DECREASE_TENTHS / 10).max(u64::from(MIN_LIMIT) * PARTS), Relaxed);
        }
    }

    /// Calls that may be in flight.
    pub fn limit(&self) -> u32 {
        u32::try_from(self.limit.load(Relaxed) / PARTS).unwrap_or(MAX_LIMIT)
    }

    /// Calls in flight.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Relaxed)
    }

    /// Calls that were refused since the start.
    pub fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn admit(limiter: &Limiter, calls: u32) {
        (0..calls).for_each(|_| assert!(limiter.admit()));
    }

    #[test]
    fn the_limit_is_at_its_maximum_until_there_is_overload() {
        let limiter = Limiter::new();
        admit(&limiter, MAX_LIMIT);
        assert!(!limiter.admit());
        assert_eq!((limiter.in_flight(), limiter.refused()), (MAX_LIMIT, 1));
    }

    #[test]
    fn overload_lowers_it_to_nine_tenths_of_the_calls_in_flight_once_for_all_calls_that_began_before() {
        let limiter = Limiter::new();
        admit(&limiter, 50);
        limiter.release(Sample::Overload, at(0), at(10));
        assert_eq!(limiter.limit(), 45);
        (0..9).for_each(|_| limiter.release(Sample::Overload, at(5), at(11)));
        assert_eq!(limiter.limit(), 45, "they began before it fell");
        limiter.release(Sample::Overload, at(12), at(20));
        assert_eq!(limiter.limit(), 36, "40 were in flight, and they were still too many");
    }

    #[test]
    fn it_grows_by_one_for_each_successful_round_while_it_is_used() {
        let limiter = Limiter::new();
        admit(&limiter, 10);
        limiter.release(Sample::Overload, at(0), at(1));
        assert_eq!(limiter.limit(), 9);
        for _ in 0..10 {
            assert!(limiter.in_flight() == 9 || limiter.admit());
            limiter.release(Sample::Success, at(2), at(3));
        }
        assert_eq!(limiter.limit(), 10);
        let unused = Limiter::new();
        admit(&unused, 100);
        unused.release(Sample::Overload, at(0), at(1));
        (0..98).for_each(|_| unused.release(Sample::Ignored, at(0), at(1)));
        (0..1000).for_each(|_| {
            assert!(unused.admit());
            unused.release(Sample::Success, at(2), at(3));
        });
        assert_eq!(unused.limit(), 90, "too few calls to test a higher limit");
    }

    proptest! {
        #[test]
        fn it_never_loses_count_and_never_leaves_its_bounds(steps in prop::collection::vec((0..4u8, 0..50u64), 1..400)) {
            let limiter = Limiter::new();
            let (mut began, mut now) = (Vec::new(), 0);
            for (step, later) in steps {
                now += later;
                match (step, began.pop()) {
                    (0, last) => {
                        began.extend(last);
                        let room = limiter.in_flight() < limiter.limit();
                        prop_assert_eq!(limiter.admit(), room);
                        if room { began.push(now); }
                    }
                    (step, Some(since)) => {
                        let sample = [Sample::Success, Sample::Overload, Sample::Ignored][usize::from(step) - 1];
                        limiter.release(sample, at(since), at(now));
                    }
                    _ => {}
                }
                prop_assert_eq!(limiter.in_flight() as usize, began.len());
                prop_assert!((MIN_LIMIT..=MAX_LIMIT).contains(&limiter.limit()));
            }
        }

        #[test]
        fn it_finds_the_capacity_and_stays_near_it(capacity in 8..200u32) {
            let limiter = Limiter::new();
            let (mut done, mut now) = (0, 0);
            // Each round lasts as long as a call; the load exceeds the capacity.
            for round in 0..200u32 {
                let mut admitted = 0;
                while admitted < capacity * 5 && limiter.admit() { admitted += 1; }
                let too_many = admitted.saturating_sub(capacity);
                (0..too_many).for_each(|_| limiter.release(Sample::Overload, at(now), at(now + 1)));
                (0..admitted - too_many).for_each(|_| limiter.release(Sample::Success, at(now), at(now + 500)));
                now += 500;
                if round >= 100 { done += admitted - too_many; }
            }
            prop_assert!(done >= 100 * capacity * 8 / 10, "{done} of {}", 100 * capacity);
        }
    }
}
