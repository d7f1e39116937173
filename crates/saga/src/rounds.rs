//! One round of the recovery.

use std::{future::Future, sync::OnceLock};

use futures::{StreamExt, future::ready, stream};
use jumun_core::Error;

/// Resolves each of `unsettled`, `at_once` of them concurrently. The first failure ends the round, because the other
/// context is unavailable, and is returned. Resolutions in flight are finished, because a half-open circuit waits for
/// the outcomes of its probes.
pub async fn round<T, F: Future<Output = Result<(), Error>>>(
    unsettled: Vec<T>,
    at_once: usize,
    resolve: impl Fn(T) -> F,
) -> Result<(), Error> {
    let failure = OnceLock::new();
    stream::iter(unsettled)
        .take_while(|_| ready(failure.get().is_none()))
        .for_each_concurrent(at_once, async |item| {
            if let Err(error) = resolve(item).await {
                // Only the first failure is kept.
                let _ = failure.set(error);
            }
        })
        .await;
    failure.into_inner().map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use jumun_core::reasons::INTERNAL;

    use super::*;

    /// Resolves nine items, three at once; item 1 fails after `turn` polls, the others finish after five. Returns the
    /// result, the begun items and the finished ones.
    async fn resolve(turn: usize) -> (Result<(), Error>, Vec<usize>, Vec<usize>) {
        let (begun, finished) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
        let add = |items: &Mutex<Vec<usize>>, item| items.lock().expect("no panic").push(item);
        let result = round((0..9).collect(), 3, async |item| {
            add(&begun, item);
            let turns = if item == 1 { turn } else { 5 };
            for _ in 0..turns {
                tokio::task::yield_now().await;
            }
            add(&finished, item);
            if item == 1 { Err(Error::new(&INTERNAL, "away")) } else { Ok(()) }
        });
        let result = result.await;
        (result, begun.into_inner().expect("no panic"), finished.into_inner().expect("no panic"))
    }

    #[tokio::test]
    async fn the_first_failure_ends_a_round_and_what_has_begun_is_finished() {
        let (result, begun, mut finished) = resolve(1).await;
        assert_eq!(result.expect_err("a failure").reason, "INTERNAL");
        assert_eq!(begun, [0, 1, 2]);
        finished.sort_unstable();
        assert_eq!(finished, begun);
    }

    #[tokio::test]
    async fn a_round_takes_as_many_at_once_as_it_may() {
        let (_, begun, _) = resolve(100).await;
        assert_eq!(begun, (0..9).collect::<Vec<_>>());
    }
}
