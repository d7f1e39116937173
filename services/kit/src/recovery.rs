//! One round of a recovery: what was abandoned is brought to its end.

use std::{future::Future, sync::OnceLock};

use futures::{StreamExt, future::ready, stream};

use crate::Error;

/// Ends each of `abandoned`, `at_once` at the same time. The first failure ends the round: whoever is asked is away, and
/// asking on would only be a storm. What has begun is finished, or a circuit that lets a few calls through, to see, would
/// never see one answered.
pub async fn bring_to_an_end<T, F: Future<Output = Result<(), Error>>>(
    abandoned: Vec<T>,
    at_once: usize,
    end: impl Fn(T) -> F,
) -> Result<(), Error> {
    let failure = OnceLock::new();
    stream::iter(abandoned)
        .take_while(|_| ready(failure.get().is_none()))
        .for_each_concurrent(at_once, async |item| {
            if let Err(error) = end(item).await {
                // Another came first, and says the same.
                let _ = failure.set(error);
            }
        })
        .await;
    failure.into_inner().map_or(Ok(()), Err)
}
