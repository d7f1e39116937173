//! Time: microseconds, a clock that tests can move, and the one place that sleeps and reads clocks.

#![allow(clippy::disallowed_methods, reason = "it is the one place")]

use std::{
    ops::{Add, Sub},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use prost_types::Timestamp;
pub use tokio::time::{Instant, Interval, MissedTickBehavior, Sleep, Timeout};

/// How often a sleeper looks at a manual clock.
const MANUAL_POLL: Duration = Duration::from_millis(2);

/// Microseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub i64);

impl Time {
    /// The time as `google.protobuf.Timestamp`.
    pub fn to_timestamp(self) -> Timestamp {
        Timestamp {
            seconds: self.0.div_euclid(1_000_000),
            nanos: i32::try_from(self.0.rem_euclid(1_000_000)).unwrap_or_default() * 1_000,
        }
    }

    /// How long after `earlier` this is; zero when it is not.
    pub fn since(self, earlier: Time) -> Duration {
        Duration::from_micros(u64::try_from(self.0 - earlier.0).unwrap_or_default())
    }
}

impl Add<Duration> for Time {
    type Output = Time;

    fn add(self, duration: Duration) -> Time {
        Time(self.0 + micros(duration))
    }
}

impl Sub<Duration> for Time {
    type Output = Time;

    fn sub(self, duration: Duration) -> Time {
        Time(self.0 - micros(duration))
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// Where "now" comes from.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The machine's clock.
    #[default]
    System,
    /// A clock that stands until it is moved.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that stands at the machine's present time.
    pub fn manual() -> Self {
        Self::Manual(Arc::new(AtomicI64::new(system_now().0)))
    }

    /// The present instant.
    pub fn now(&self) -> Time {
        match self {
            Self::System => system_now(),
            Self::Manual(micros) => Time(micros.load(Ordering::SeqCst)),
        }
    }

    /// Waits until the clock has gone on by so much.
    pub async fn sleep(&self, duration: Duration) {
        match self {
            Self::System => sleep(duration).await,
            Self::Manual(_) => {
                let end = self.now() + duration;
                while self.now() < end {
                    sleep(MANUAL_POLL).await;
                }
            }
        }
    }

    /// Moves a manual clock; the machine's clock goes by itself.
    pub fn advance(&self, by: Duration) {
        if let Self::Manual(now) = self {
            now.fetch_add(micros(by), Ordering::SeqCst);
        }
    }
}

/// The machine's time: for what other systems must agree with, such as the expiry of a token.
pub fn system_now() -> Time {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(micros(elapsed))
}

/// Done when so much time has gone by.
pub fn sleep(duration: Duration) -> Sleep {
    tokio::time::sleep(duration)
}

/// Done at this instant.
pub fn sleep_until(end: Instant) -> Sleep {
    tokio::time::sleep_until(end)
}

/// Ends a future with an error when so much time has gone by.
pub fn timeout<F: IntoFuture>(duration: Duration, future: F) -> Timeout<F::IntoFuture> {
    tokio::time::timeout(duration, future)
}

/// Ticks, at once and then after each period.
pub fn interval(period: Duration) -> Interval {
    tokio::time::interval(period)
}

/// Blocks the present thread, which is kept for blocking work.
pub fn block_for(duration: Duration) {
    std::thread::sleep(duration);
}
