//! Retries and hedging of idempotent calls, within the retry budget and the deadline of the request. Only the calling
//! context retries; neither the channel nor the mesh does.

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

/// The pauses before the second and the third attempt. The first lets a broken connection be replaced. The mesh ejects
/// a replica after as many failures as there are pauses (`outlier.gatewayErrors` of the chart), and Envoy's workers
/// learn of it within a second (`update_merge_window`), so after the second pause the last attempt reaches another
/// replica.
const PAUSES: [Duration; 2] = [Duration::from_millis(50), Duration::from_millis(1100)];
/// The hedging delay: how long the first attempt may take before a second one is sent. It is longer than a context
/// waits for an external provider, and than the mesh needs to detect a replica that hangs (`keepAlive` of the chart).
const MAX_HEDGE_DELAY: Duration = Duration::from_millis(1750);
const _: () = assert!(MAX_HEDGE_DELAY.as_millis() < MAX_OUTGOING_CALL.as_millis());

impl Channel {
    /// Makes a call that must be idempotent, and retries it up to two times while the error is retryable, the retry
    /// budget permits it and the deadline leaves time. Returns the result of the last attempt.
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
            // Boxed, here and below: retries are rare, and would enlarge the future of every call.
            answer = Box::pin(call(self.clone())).await;
        }
        answer
    }

    /// Makes a call. After the hedging delay it makes a second one in parallel (true), and returns the first success.
    /// The first is not cancelled: it may only be slow, and the second may be rejected for overload.
    async fn hedge<T, F: Future<Output = Result<T, Status>>>(
        &self,
        mut call: impl FnMut(Channel) -> F,
    ) -> (Result<T, Status>, bool) {
        let mut first = pin!(call(self.clone()));
        if let Ok(answer) = timeout(hedge_delay(request_context::remaining()), &mut first).await {
            return (answer, false);
        }
        if !self.circuit.may_retry(&Status::deadline_exceeded("no answer yet")) {
            return (first.await, false);
        }
        let mut second = Box::pin(call(self.clone()));
        (select_ok([first, second.as_mut()]).await.map(|(answer, _)| answer), true)
    }
}

/// Whether the remaining time suffices for this pause, another attempt and the response.
fn is_time_for(pause: Duration) -> bool {
    request_context::remaining().is_none_or(|left| left > pause + RESERVE * 2)
}

/// The hedging delay with this remaining time: it leaves at least as much time to the second attempt.
fn hedge_delay(left: Option<Duration>) -> Duration {
    left.map_or(MAX_HEDGE_DELAY, |left| MAX_HEDGE_DELAY.min(left.saturating_sub(RESERVE) / 2))
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

    /// Makes a call whose attempts take so many milliseconds and end so. Returns the result, the time (ms), and the
    /// number of attempts.
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
    async fn a_call_that_is_answered_in_time_is_made_once() {
        assert_eq!(call(vec![(1700, Ok("first"))]).await, (Ok("first"), 1700, 1));
        assert_eq!(call(vec![(1, Err(Code::ResourceExhausted))]).await, (Err(Code::ResourceExhausted), 1, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn an_unavailable_callee_is_called_again() {
        let away = (1, Err(Code::Unavailable));
        assert_eq!(call(vec![away, (1, Ok("second"))]).await, (Ok("second"), 52, 2));
        assert_eq!(call(vec![away, away, away]).await, (Err(Code::Unavailable), 1153, 3));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_call_is_hedged_and_may_still_be_answered() {
        assert_eq!(call(vec![(9000, Ok("first")), (10, Ok("second"))]).await, (Ok("second"), 1760, 2));
        let refused = (10, Err(Code::ResourceExhausted));
        assert_eq!(call(vec![(1900, Ok("first")), refused]).await, (Ok("first"), 1900, 2));
        assert_eq!(call(vec![(1900, Err(Code::Internal)), refused]).await, (Err(Code::Internal), 1900, 2));
    }

    #[test]
    fn the_first_call_leaves_as_much_time_to_the_second() {
        let millis = |left: Option<u64>| hedge_delay(left.map(Duration::from_millis)).as_millis();
        assert_eq!([None, Some(4000), Some(1050), Some(20)].map(millis), [1750, 1750, 500, 0]);
    }
}
