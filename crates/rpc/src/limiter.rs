//! How many calls of one method may be under way at once: as many as went well lately.
//!
//! It starts wide open. A call that was refused further in for overload, or that took nearly all the time it may take,
//! shows that what was under way was too much: the limit falls to nine tenths of that. While the limit is used it grows
//! by one each time as many calls as it allows went well (additive increase, multiplicative decrease, as TCP does).

use std::{
    sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// The limit at the start and at most: as many commands as an engine lets wait.
pub(crate) const MAX_LIMIT: u32 = 4096;
/// The limit at least: something must be tried to learn that it goes well again.
pub(crate) const MIN_LIMIT: u32 = 4;
/// The limit is kept in so many parts of a call.
const PARTS: u64 = 1000;
/// What is left of the calls under way when they were too many, in tenths.
const TENTHS_LEFT: u64 = 9;

/// What a call that ended shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// It went as it should.
    Well,
    /// There was too much at once.
    TooMuch,
    /// Nothing, e.g. its caller went away.
    Nothing,
}

/// A limit that follows what can be done.
#[derive(Debug)]
pub struct Limiter {
    under_way: AtomicU32,
    limit: AtomicU64,
    /// When the limit fell last (µs): what began before that says nothing about the new limit.
    fell: AtomicU64,
    refused: AtomicU64,
}

impl Limiter {
    pub(crate) fn new() -> Self {
        Self {
            under_way: AtomicU32::new(0),
            limit: AtomicU64::new(u64::from(MAX_LIMIT) * PARTS),
            fell: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }

    /// Lets a call in, or counts it as refused. One that was let in is to be released.
    pub fn admit(&self) -> bool {
        let is_admitted = self.under_way.fetch_add(1, Relaxed) < self.limit();
        if !is_admitted {
            self.under_way.fetch_sub(1, Relaxed);
            self.refused.fetch_add(1, Relaxed);
        }
        is_admitted
    }

    /// A call that was let in ended. `began` and `now` are on one clock.
    pub fn release(&self, sign: Sign, began: Duration, now: Duration) {
        let under_way = self.under_way.fetch_sub(1, Relaxed);
        match sign {
            Sign::Well => self.grow(under_way),
            Sign::TooMuch => self.fall(under_way, began, now),
            Sign::Nothing => {}
        }
    }

    fn grow(&self, under_way: u32) {
        let limit = self.limit.load(Relaxed);
        if limit < u64::from(MAX_LIMIT) * PARTS && u64::from(under_way) * PARTS * 2 >= limit {
            self.limit.fetch_add(PARTS * PARTS / limit, Relaxed);
        }
    }

    fn fall(&self, under_way: u32, began: Duration, now: Duration) {
        let fell = self.fell.load(Relaxed);
        let is_news = micros(began) >= fell;
        if is_news && self.fell.compare_exchange(fell, micros(now).max(1), Relaxed, Relaxed).is_ok() {
            let too_much = self.limit.load(Relaxed).min(u64::from(under_way) * PARTS);
            self.limit.store((too_much * TENTHS_LEFT / 10).max(u64::from(MIN_LIMIT) * PARTS), Relaxed);
        }
    }

    /// Calls that may be under way.
    pub fn limit(&self) -> u32 {
        u32::try_from(self.limit.load(Relaxed) / PARTS).unwrap_or(MAX_LIMIT)
    }

    /// Calls that are under way.
    pub fn under_way(&self) -> u32 {
        self.under_way.load(Relaxed)
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
    fn it_is_wide_open_until_something_is_too_much() {
        let limiter = Limiter::new();
        admit(&limiter, MAX_LIMIT);
        assert!(!limiter.admit());
        assert_eq!((limiter.under_way(), limiter.refused()), (MAX_LIMIT, 1));
    }

    #[test]
    fn it_falls_to_nine_tenths_of_what_was_too_much_once_for_everything_that_began_before() {
        let limiter = Limiter::new();
        admit(&limiter, 50);
        limiter.release(Sign::TooMuch, at(0), at(10));
        assert_eq!(limiter.limit(), 45);
        (0..9).for_each(|_| limiter.release(Sign::TooMuch, at(5), at(11)));
        assert_eq!(limiter.limit(), 45, "they are of the same moment");
        limiter.release(Sign::TooMuch, at(12), at(20));
        assert_eq!(limiter.limit(), 36, "40 were under way, and they were still too much");
    }

    #[test]
    fn it_grows_by_one_for_each_round_that_went_well_while_it_is_used() {
        let limiter = Limiter::new();
        admit(&limiter, 10);
        limiter.release(Sign::TooMuch, at(0), at(1));
        assert_eq!(limiter.limit(), 9);
        for _ in 0..10 {
            assert!(limiter.under_way() == 9 || limiter.admit());
            limiter.release(Sign::Well, at(2), at(3));
        }
        assert_eq!(limiter.limit(), 10);
        let quiet = Limiter::new();
        admit(&quiet, 100);
        quiet.release(Sign::TooMuch, at(0), at(1));
        (0..98).for_each(|_| quiet.release(Sign::Nothing, at(0), at(1)));
        (0..1000).for_each(|_| {
            assert!(quiet.admit());
            quiet.release(Sign::Well, at(2), at(3));
        });
        assert_eq!(quiet.limit(), 90, "nobody tried how much it could be");
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
                        let room = limiter.under_way() < limiter.limit();
                        prop_assert_eq!(limiter.admit(), room);
                        if room { began.push(now); }
                    }
                    (step, Some(since)) => {
                        let sign = [Sign::Well, Sign::TooMuch, Sign::Nothing][usize::from(step) - 1];
                        limiter.release(sign, at(since), at(now));
                    }
                    _ => {}
                }
                prop_assert_eq!(limiter.under_way() as usize, began.len());
                prop_assert!((MIN_LIMIT..=MAX_LIMIT).contains(&limiter.limit()));
            }
        }

        #[test]
        fn it_finds_what_can_be_done_and_stays_near_it(capacity in 8..200u32) {
            let limiter = Limiter::new();
            let (mut done, mut now) = (0, 0);
            // Each round lasts as long as a call; more is asked for than can be done.
            for round in 0..200u32 {
                let mut admitted = 0;
                while admitted < capacity * 5 && limiter.admit() { admitted += 1; }
                let too_many = admitted.saturating_sub(capacity);
                (0..too_many).for_each(|_| limiter.release(Sign::TooMuch, at(now), at(now + 1)));
                (0..admitted - too_many).for_each(|_| limiter.release(Sign::Well, at(now), at(now + 500)));
                now += 500;
                if round >= 100 { done += admitted - too_many; }
            }
            prop_assert!(done >= 100 * capacity * 8 / 10, "{done} of {}", 100 * capacity);
        }
    }
}
