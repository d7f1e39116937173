//! What goes along with a piece of work, wherever it goes: its deadline, its trace, on whose behalf it is, and which
//! version is to serve it.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use futures::future::BoxFuture;
use http::HeaderValue;
use tokio::{runtime::Handle, task::futures::TaskLocalFuture};
use tracing::{Instrument, Span, instrument::Instrumented};

use crate::auth::Caller;

tokio::task_local! {
    static AMBIENT: Ambient;
}

/// What goes along with a request.
#[derive(Clone, Debug, Default)]
pub struct Ambient {
    /// When the caller stops waiting.
    pub deadline: Option<Instant>,
    /// The caller's W3C trace context, where this process records no traces itself.
    pub traceparent: Option<String>,
    /// On whose behalf it is.
    pub caller: Caller,
    /// The version that the request wants to be served by. It does not go along with events.
    pub version: Option<HeaderValue>,
}

impl Ambient {
    /// What goes along with the present task.
    pub fn current() -> Self {
        AMBIENT.try_with(Clone::clone).unwrap_or_default()
    }

    /// Runs a future with this going along.
    pub fn scope<F: Future>(self, future: F) -> TaskLocalFuture<Self, F> {
        AMBIENT.scope(self, future)
    }
}

/// On whose behalf the present work is done.
pub fn caller() -> Caller {
    AMBIENT.try_with(|ambient| ambient.caller.clone()).unwrap_or_default()
}

/// The W3C trace context that the present work came with.
pub(crate) fn traceparent() -> Option<String> {
    AMBIENT.try_with(|ambient| ambient.traceparent.clone()).ok().flatten()
}

/// The version that the present request wants to be served by.
pub(crate) fn version() -> Option<HeaderValue> {
    AMBIENT.try_with(|ambient| ambient.version.clone()).ok().flatten()
}

/// How long the present work may still take; None: nobody set a bound.
pub fn remaining() -> Option<Duration> {
    let deadline = AMBIENT.try_with(|ambient| ambient.deadline).ok().flatten();
    deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
}

/// Lets a future that another task will run keep the present deadline, caller, trace and span.
pub fn carry<F: Future>(future: F) -> Instrumented<impl Future<Output = F::Output>> {
    Ambient::current().scope(future).instrument(Span::current())
}

/// Work that goes on to its end when whoever waits for it goes away: it is then a task of its own.
pub struct Finishing<T: Send + 'static>(Option<BoxFuture<'static, T>>);

/// Finishes a future that must not be left half done.
pub fn finish<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> Finishing<T> {
    Finishing(Some(Box::pin(future)))
}

impl<T: Send + 'static> Future for Finishing<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let Some(future) = &mut self.0 else { return Poll::Pending };
        let polled = future.as_mut().poll(context);
        if polled.is_ready() {
            self.0 = None;
        }
        polled
    }
}

impl<T: Send + 'static> Drop for Finishing<T> {
    fn drop(&mut self) {
        // A runtime that ends takes its work with it; what a crash interrupts is found by its state.
        if let (Some(future), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(carry(future));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn what_nobody_waits_for_is_finished_in_its_own_time() {
        let (finished, end) = tokio::sync::oneshot::channel();
        let work = async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let _ = finished.send(Ambient::current().traceparent);
        };
        let ambient = Ambient { traceparent: Some("00-1-2-03".to_owned()), ..Ambient::default() };
        let waited = ambient.scope(tokio::time::timeout(Duration::from_millis(1), finish(work))).await;
        assert!(waited.is_err(), "nobody waits any more");
        assert_eq!(end.await.expect("finished").as_deref(), Some("00-1-2-03"), "with what went along");
    }
}
