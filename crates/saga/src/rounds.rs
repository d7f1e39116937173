//! One round of a recovery.

use std::{future::Future, sync::OnceLock};

use futures::{StreamExt, future::ready, stream};
use kit::Error;

/// Resolves each of `unsettled`, `at_once` at the same time. The first failure ends the round: the other side is away, and
/// asking on would only be a storm. What has begun is finished, because a circuit that lets a few calls through, to see,
/// waits for their answers.
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
                // Another came first, and says the same.
                let _ = failure.set(error);
            }
        })
        .await;
    failure.into_inner().map_or(Ok(()), Err)
}
