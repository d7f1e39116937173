//! Starts at a fixed rate, whether or not earlier ones have ended (open loop).

use std::{future::Future, time::Duration};

use jumun_core::{
    task::JoinSet,
    time::{Instant, sleep_until},
};

/// When something is due, at a fixed rate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    start: Instant,
    end: Instant,
    per_second: u64,
}

impl Pace {
    /// From `start` until before `end`.
    pub(crate) fn new(start: Instant, end: Instant, per_second: u64) -> Self {
        Self { start, end, per_second: per_second.max(1) }
    }

    /// The intended start of number `index`. It depends on nothing that happened before.
    fn due(self, index: u64) -> Instant {
        let (seconds, rest) = (index / self.per_second, index % self.per_second);
        self.start + Duration::from_secs(seconds) + Duration::from_nanos(rest * 1_000_000_000 / self.per_second)
    }
}

/// Starts futures at the pace, or until `stopped`, at most `max_in_flight` at once, and hands their outputs to `ended`, also
/// those of the futures that end later. `begin` gets the number and the intended start; `None` from it ends the starts.
/// Returns how many with an intended start from `count_from` could not be started: `max_in_flight` were in flight, or
/// this process was too slow.
pub(crate) async fn run<T, F>(
    pace: Pace,
    max_in_flight: usize,
    count_from: Instant,
    stopped: impl Future<Output = ()>,
    mut begin: impl FnMut(u64, Instant) -> Option<F>,
    mut ended: impl FnMut(T) -> anyhow::Result<()>,
) -> anyhow::Result<u64>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let mut in_flight = JoinSet::new();
    let (mut next, mut not_started, mut is_exhausted) = (0, 0, false);
    let mut stopped = std::pin::pin!(stopped);
    'starts: while pace.due(next) < pace.end {
        tokio::select! {
            biased;
            () = &mut stopped => break,
            () = sleep_until(pace.due(next)) => {}
            Some(output) = in_flight.join_next() => {
                ended(output?)?;
                continue;
            }
        }
        let now = Instant::now();
        while pace.due(next) <= now && pace.due(next) < pace.end {
            while let Some(output) = in_flight.try_join_next() {
                ended(output?)?;
            }
            let intended = pace.due(next);
            if in_flight.len() < max_in_flight {
                let Some(future) = begin(next, intended) else {
                    is_exhausted = true;
                    break 'starts;
                };
                in_flight.spawn(future);
            } else {
                not_started += u64::from(intended >= count_from);
            }
            next += 1;
        }
    }
    let end = pace.end.min(Instant::now());
    while !is_exhausted && pace.due(next) < end {
        not_started += u64::from(pace.due(next) >= count_from);
        next += 1;
    }
    while let Some(output) = in_flight.join_next().await {
        ended(output?)?;
    }
    Ok(not_started)
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use jumun_core::time::sleep;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Runs for a second with calls that take `takes`; returns the latencies in milliseconds, and how many did not start.
    async fn run_for_a_second(
        per_second: u64,
        max_in_flight: usize,
        takes: impl Fn(u64) -> Duration,
    ) -> (Vec<u128>, u64) {
        let start = Instant::now();
        let mut latencies = Vec::new();
        let begin = |number, intended: Instant| {
            let takes = takes(number);
            Some(async move {
                sleep(takes).await;
                intended.elapsed()
            })
        };
        let ended = |latency: Duration| {
            latencies.push(latency.as_millis());
            Ok(())
        };
        let pace = Pace::new(start, start + SECOND, per_second);
        let not_started = run(pace, max_in_flight, start, pending(), begin, ended).await;
        (latencies, not_started.expect("no panic"))
    }

    #[test]
    fn the_intended_starts_have_no_drift() {
        let start = Instant::now();
        let pace = Pace::new(start, start, 3);
        assert_eq!(pace.due(0), start);
        assert_eq!(pace.due(1), start + Duration::from_nanos(333_333_333));
        assert_eq!(pace.due(3_000_000_000), start + Duration::from_secs(1_000_000_000));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_call_does_not_delay_the_next() {
        let slow = |number| if number == 0 { 5 * SECOND } else { Duration::from_millis(20) };
        let (mut latencies, not_started) = run_for_a_second(10, 100, slow).await;
        latencies.sort_unstable();
        assert_eq!((latencies.len(), not_started), (10, 0));
        assert_eq!(latencies[8], 20);
        assert_eq!(latencies[9], 5000);
    }

    #[tokio::test(start_paused = true)]
    async fn latencies_count_from_the_intended_start() {
        let start = Instant::now();
        // This process does nothing for 500 ms: five calls are due, and all of them start late.
        let mut latencies = Vec::new();
        let stalled = |number, intended: Instant| {
            let stall = if number == 0 { Duration::from_millis(500) } else { Duration::ZERO };
            Some(async move {
                tokio::time::advance(stall).await;
                (number, intended.elapsed().as_millis())
            })
        };
        let ended = |call: (u64, u128)| {
            latencies.push(call);
            Ok(())
        };
        run(Pace::new(start, start + SECOND, 10), 100, start, pending(), stalled, ended).await.expect("no panic");
        latencies.sort_unstable();
        assert_eq!(latencies[..6], [(0, 500), (1, 400), (2, 300), (3, 200), (4, 100), (5, 0)]);
        assert_eq!(latencies.len(), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn calls_beyond_the_bound_are_reported() {
        let (latencies, not_started) = run_for_a_second(10, 2, |_| Duration::from_secs(30)).await;
        assert_eq!((latencies.len(), not_started), (2, 8));
    }

    #[tokio::test(start_paused = true)]
    async fn calls_before_the_measured_time_are_not_reported() {
        let start = Instant::now();
        let forever = |_, _| Some(sleep(Duration::from_secs(30)));
        let pace = Pace::new(start, start + 2 * SECOND, 10);
        let not_started = run(pace, 1, start + SECOND, pending(), forever, |()| Ok(())).await;
        assert_eq!(not_started.expect("no panic"), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_are_started_than_there_are() {
        let start = Instant::now();
        let three = |number, _| (number < 3).then(|| sleep(Duration::ZERO));
        let mut count = 0;
        let ended = |()| {
            count += 1;
            Ok(())
        };
        let not_started = run(Pace::new(start, start + SECOND, 10), 9, start, pending(), three, ended).await;
        assert_eq!((not_started.expect("no panic"), count), (0, 3));
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_due_before_it_was_stopped_counts() {
        let start = Instant::now();
        let pace = Pace::new(start, start + 60 * SECOND, 10);
        let forever = |_, _| Some(sleep(90 * SECOND));
        let not_started = run(pace, 1, start, sleep(SECOND), forever, |()| Ok(())).await;
        assert_eq!(not_started.expect("no panic"), 9);
    }
}
