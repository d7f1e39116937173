//! The one retry that there is: by the caller, of a call that may be repeated, out of a budget, within its caller's time.

use std::{future::Future, time::Duration};

use tonic::Status;

use super::{Channel, MAX_OUTGOING_CALL, RESERVE};
use crate::ambient;

/// The pause before the second call: a connection that just broke is still being replaced, and whoever broke it is still
/// being left alone.
const PAUSE: Duration = Duration::from_millis(50);
/// How long the first may take at most. It is longer than payment waits for its provider, so whoever is there has
/// answered by then, and it leaves time to ask another replica of one that hangs.
const MAX_FIRST_CALL: Duration = Duration::from_millis(1600);
const _: () = assert!(MAX_FIRST_CALL.as_millis() < MAX_OUTGOING_CALL.as_millis());

impl Channel {
    /// Makes a call that may be repeated because it is idempotent, and makes it once more where that may help and there are
    /// retries left. Nobody else repeats it: not this channel, and not a mesh.
    pub async fn call_twice<T, F: Future<Output = Result<T, Status>>>(
        &self,
        mut call: impl FnMut(Channel) -> F,
    ) -> Result<T, Status> {
        match call(Self { longest: first_call(ambient::remaining()), ..self.clone() }).await {
            Err(status) if self.circuit.may_retry(&status) => {
                tokio::time::sleep(PAUSE).await;
                call(self.clone()).await
            }
            answer => answer,
        }
    }
}

/// How long the first of two calls may take, where so much time is left.
fn first_call(left: Option<Duration>) -> Duration {
    left.map_or(MAX_FIRST_CALL, |left| MAX_FIRST_CALL.min(left.saturating_sub(RESERVE + PAUSE) / 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_two_calls_leaves_as_much_time_to_the_second() {
        let millis = |left: Option<u64>| first_call(left.map(Duration::from_millis)).as_millis();
        assert_eq!([None, Some(4000), Some(1100), Some(20)].map(millis), [1600, 1600, 500, 0]);
    }
}
