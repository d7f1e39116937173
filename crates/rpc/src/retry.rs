//! The only retries that there are: by the caller, of a call that may be repeated, out of a budget, within its caller's time.

use std::{future::Future, pin::pin, time::Duration};

use futures::future::select_ok;
use tonic::Status;

use jumun_core::{
    request_context,
    time::{sleep, timeout},
};

use crate::{
    channel::Channel,
    channel_layers::{MAX_OUTGOING_CALL, RESERVE},
};

/// The pauses before the second and the third call: a connection that just broke is still being replaced. A mesh leaves
/// a replica alone that failed as often as there are pauses (`outlier.gatewayErrors` of the chart), so the last call meets
/// another one, whatever the others met. Envoy tells its workers of that within a second (`update_merge_window`), which the
/// longer pause outlasts.
const PAUSES: [Duration; 2] = [Duration::from_millis(50), Duration::from_millis(1100)];
/// How long one is waited for before another replica is asked as well. It is longer than a context waits for its provider,
/// and than a mesh takes to find out that a replica hangs (`keepAlive` of the chart), and it leaves as much time to the other.
const MAX_LONE_CALL: Duration = Duration::from_millis(1750);
const _: () = assert!(MAX_LONE_CALL.as_millis() < MAX_OUTGOING_CALL.as_millis());

impl Channel {
    /// Makes a call that may be repeated because it is idempotent, and repeats it a few times where that may help and there
    /// are retries left. Nobody else repeats it: not this channel, and not a mesh.
    pub async fn call_idempotent<T, F: Future<Output = Result<T, Status>>>(
        &self,
        mut call: impl FnMut(Channel) -> F,
    ) -> Result<T, Status> {
        let (mut answer, hedged) = self.hedge(&mut call).await;
        for pause in PAUSES.into_iter().skip(hedged.into()) {
            match &answer {
                Err(status) if is_time_for(pause) && self.circuit.may_retry(status) => sleep(pause).await,
                _ => break,
            }
            // Rare and large, here and below: kept out of every call's way.
            answer = Box::pin(call(self.clone())).await;
        }
        answer
    }

    /// Makes a call; when there is no answer for long, a second one beside it (true), and takes the first that succeeds. The
    /// first is not given up: it may only be slow, and the second be refused because of all that is.
    async fn hedge<T, F: Future<Output = Result<T, Status>>>(
        &self,
        mut call: impl FnMut(Channel) -> F,
    ) -> (Result<T, Status>, bool) {
        let mut first = pin!(call(self.clone()));
        if let Ok(answer) = timeout(lone_call(request_context::remaining()), &mut first).await {
            return (answer, false);
        }
        if !self.circuit.may_retry(&Status::deadline_exceeded("no answer yet")) {
            return (first.await, false);
        }
        let mut second = Box::pin(call(self.clone()));
        (select_ok([first, second.as_mut()]).await.map(|(answer, _)| answer), true)
    }
}

/// Whether a call after this pause could still be answered, and its caller be told.
fn is_time_for(pause: Duration) -> bool {
    request_context::remaining().is_none_or(|left| left > pause + RESERVE * 2)
}

/// How long a call is waited for alone, where so much time is left.
fn lone_call(left: Option<Duration>) -> Duration {
    left.map_or(MAX_LONE_CALL, |left| MAX_LONE_CALL.min(left.saturating_sub(RESERVE) / 2))
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, sync::Arc};

    use futures::{FutureExt, future::LocalBoxFuture};
    use tonic::Code;

    use super::*;
    use jumun_core::Caller;

    use crate::{circuit::Circuit, stack::LocalStack};

    type Script = Vec<(u64, Result<&'static str, Code>)>;

    /// Calls somebody who answers the first call after so many milliseconds, and so on; says what came of it, when, and
    /// after how many calls.
    async fn call(script: Script) -> (Result<&'static str, Code>, u128, usize) {
        let circuit = Arc::new(Circuit::new("things", "shelves", true));
        let channel = Channel::local(LocalStack::default(), Caller::default(), circuit);
        let (began, calls) = (tokio::time::Instant::now(), RefCell::new(script.into_iter()));
        let all = calls.borrow().len();
        let answer = channel.call_idempotent(|_| -> LocalBoxFuture<'_, _> {
            let (millis, answer) = calls.borrow_mut().next().expect("no more calls");
            async move {
                tokio::time::sleep(Duration::from_millis(millis)).await;
                answer.map_err(|code| Status::new(code, "as written"))
            }
            .boxed_local()
        });
        let answer = answer.await.map_err(|status| status.code());
        (answer, began.elapsed().as_millis(), all - calls.borrow().len())
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_answered_in_time_is_asked_once() {
        assert_eq!(call(vec![(1700, Ok("first"))]).await, (Ok("first"), 1700, 1));
        assert_eq!(call(vec![(1, Err(Code::ResourceExhausted))]).await, (Err(Code::ResourceExhausted), 1, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_away_is_asked_again() {
        let away = (1, Err(Code::Unavailable));
        assert_eq!(call(vec![away, (1, Ok("second"))]).await, (Ok("second"), 52, 2));
        assert_eq!(call(vec![away, away, away]).await, (Err(Code::Unavailable), 1153, 3));
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_answer_is_asked_again_and_may_still_answer() {
        assert_eq!(call(vec![(9000, Ok("first")), (10, Ok("second"))]).await, (Ok("second"), 1760, 2));
        let refused = (10, Err(Code::ResourceExhausted));
        assert_eq!(call(vec![(1900, Ok("first")), refused]).await, (Ok("first"), 1900, 2));
        assert_eq!(call(vec![(1900, Err(Code::Internal)), refused]).await, (Err(Code::Internal), 1900, 2));
    }

    #[test]
    fn the_first_call_leaves_as_much_time_to_the_second() {
        let millis = |left: Option<u64>| lone_call(left.map(Duration::from_millis)).as_millis();
        assert_eq!([None, Some(4000), Some(1050), Some(20)].map(millis), [1750, 1750, 500, 0]);
    }
}
