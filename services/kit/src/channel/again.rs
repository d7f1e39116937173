//! The only retries that there are: by the caller, of a call that may be repeated, out of a budget, within its caller's time.

use std::{future::Future, time::Duration};

use tonic::Status;

use super::{Channel, MAX_OUTGOING_CALL, RESERVE};
use crate::ambient;

/// The pauses before the second and the third call: a connection that just broke is still being replaced. A mesh leaves
/// a replica alone that failed as often as there are pauses (`outlier.gatewayErrors` of the chart), so the last call meets
/// another one, whatever the others met. Envoy tells its workers of that within a second (`update_merge_window`), which the
/// longer pause outlasts.
const PAUSES: [Duration; 2] = [Duration::from_millis(50), Duration::from_millis(1100)];
/// How long the first may take at most. It is longer than payment waits for its provider, and than a mesh takes to find out
/// that a replica hangs (`keepAlive` of the chart), and it leaves as much time to ask another one.
const MAX_FIRST_CALL: Duration = Duration::from_millis(1750);
const _: () = assert!(MAX_FIRST_CALL.as_millis() < MAX_OUTGOING_CALL.as_millis());

impl Channel {
    /// Makes a call that may be repeated because it is idempotent, and repeats it a few times where that may help and there
    /// are retries left. Nobody else repeats it: not this channel, and not a mesh.
    pub async fn call_idempotent<T, F: Future<Output = Result<T, Status>>>(
        &self,
        mut call: impl FnMut(Channel) -> F,
    ) -> Result<T, Status> {
        let mut answer = call(Self { longest: first_call(ambient::remaining()), ..self.clone() }).await;
        for pause in PAUSES {
            match &answer {
                Err(status) if is_time_for(pause) && self.circuit.may_retry(status) => tokio::time::sleep(pause).await,
                _ => break,
            }
            answer = call(self.clone()).await;
        }
        answer
    }
}

/// Whether a call after this pause could still be answered, and its caller be told.
fn is_time_for(pause: Duration) -> bool {
    ambient::remaining().is_none_or(|left| left > pause + RESERVE * 2)
}

/// How long the first call may take, where so much time is left.
fn first_call(left: Option<Duration>) -> Duration {
    left.map_or(MAX_FIRST_CALL, |left| MAX_FIRST_CALL.min(left.saturating_sub(RESERVE + PAUSES[0]) / 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_call_leaves_as_much_time_to_the_second() {
        let millis = |left: Option<u64>| first_call(left.map(Duration::from_millis)).as_millis();
        assert_eq!([None, Some(4000), Some(1100), Some(20)].map(millis), [1750, 1750, 500, 0]);
    }
}
