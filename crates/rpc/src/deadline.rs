//! The deadline layer: ends a call with DEADLINE_EXCEEDED at the deadline of its caller or of its method.
//!
//! tonic's own timeout returns CANCELLED, which meshes retry. The deadline applies until the response begins; the
//! duration of a stream has its own bound (see `bounded_stream`).

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use http::Response;
use jumun_core::{
    Error,
    time::{Sleep, sleep},
};
use pin_project_lite::pin_project;
use tonic::{Status, body::Body};
use tower::{Layer, Service};

use crate::call::Call;

/// Ends calls at their deadline.
#[derive(Clone, Copy)]
pub(crate) struct DeadlineLayer;

impl<S> Layer<S> for DeadlineLayer {
    type Service = Deadline<S>;

    fn layer(&self, inner: S) -> Deadline<S> {
        Deadline { inner }
    }
}

#[derive(Clone)]
pub(crate) struct Deadline<S> {
    inner: S,
}

impl<S: Service<Call, Response = Response<Body>, Error = Infallible>> Service<Call> for Deadline<S> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = DeadlineFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let end = (!call.is_local).then(|| sleep(call.time_limit()));
        DeadlineFuture { inner: self.inner.call(call), end }
    }
}

pin_project! {
    pub(crate) struct DeadlineFuture<F> {
        #[pin]
        inner: F,
        // None: the call is local, and the client channel enforces the deadline.
        #[pin]
        end: Option<Sleep>,
    }
}

impl<F: Future<Output = Result<Response<Body>, Infallible>>> Future for DeadlineFuture<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(answer) = this.inner.poll(context) {
            return Poll::Ready(answer);
        }
        match this.end.as_pin_mut().map(|end| end.poll(context)) {
            Some(Poll::Ready(())) => {
                let error = Error::deadline_exceeded("the deadline passed before the response");
                Poll::Ready(Ok(Status::from(error).into_http()))
            }
            _ => Poll::Pending,
        }
    }
}
