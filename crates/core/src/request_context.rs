//! The request context: deadline, trace, caller and wanted version of the present work, kept in a task-local variable.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures::future::BoxFuture;
use http::HeaderValue;
use tokio::{runtime::Handle, task::futures::TaskLocalFuture};
use tracing::{Instrument, Span, instrument::Instrumented};

use crate::{Caller, task, time::Instant};

tokio::task_local! {
    static CURRENT: RequestContext;
}

/// The context of a request.
#[derive(Clone, Debug, Default)]
pub struct RequestContext {
    /// When the caller stops waiting.
    pub deadline: Option<Instant>,
    /// The caller's W3C trace context, where this process records no traces itself.
    pub traceparent: Option<String>,
    /// The caller that the work acts for.
    pub caller: Caller,
    /// The version that the request wants to be served by. Events do not carry it.
    pub version: Option<HeaderValue>,
}

impl RequestContext {
    /// The context of the present task.
    pub fn current() -> Self {
        CURRENT.try_with(Clone::clone).unwrap_or_default()
    }

    /// Runs a future in this context.
    pub fn scope<F: Future>(self, future: F) -> TaskLocalFuture<Self, F> {
        CURRENT.scope(self, future)
    }
}

/// The caller that the present work acts for.
pub fn caller() -> Caller {
    CURRENT.try_with(|context| context.caller.clone()).unwrap_or_default()
}

/// The W3C trace context that the present work came with.
pub fn traceparent() -> Option<String> {
    CURRENT.try_with(|context| context.traceparent.clone()).ok().flatten()
}

/// The version that the present request wants to be served by.
pub fn version() -> Option<HeaderValue> {
    CURRENT.try_with(|context| context.version.clone()).ok().flatten()
}

/// The time that the present work has left; None: it has no deadline.
pub fn remaining() -> Option<Duration> {
    let deadline = CURRENT.try_with(|context| context.deadline).ok().flatten();
    deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
}

/// Copies the present context and span to a future that another task will run.
pub fn with_context<F: Future>(future: F) -> Instrumented<impl Future<Output = F::Output>> {
    RequestContext::current().scope(future).instrument(Span::current())
}

/// Work that runs to its end even when its caller stops waiting: it then becomes a task of its own.
pub struct RunToCompletion<T: Send + 'static>(Option<BoxFuture<'static, T>>);

/// Runs a future to its end, even when its caller is cancelled.
pub fn run_to_completion<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> RunToCompletion<T> {
    RunToCompletion(Some(Box::pin(future)))
}

impl<T: Send + 'static> Future for RunToCompletion<T> {
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

impl<T: Send + 'static> Drop for RunToCompletion<T> {
    fn drop(&mut self) {
        // A runtime that ends drops the work; recovery finds it by its stored state.
        if let (Some(future), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            task::spawn_on(&runtime, with_context(future));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn cancelled_work_runs_to_completion_with_its_context() {
        let (finished, end) = tokio::sync::oneshot::channel();
        let work = async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let _ = finished.send(RequestContext::current().traceparent);
        };
        let context = RequestContext { traceparent: Some("00-1-2-03".to_owned()), ..RequestContext::default() };
        let waited = context.scope(tokio::time::timeout(Duration::from_millis(1), run_to_completion(work))).await;
        assert!(waited.is_err(), "the caller stopped waiting");
        assert_eq!(end.await.expect("finished").as_deref(), Some("00-1-2-03"), "in its context");
    }
}
