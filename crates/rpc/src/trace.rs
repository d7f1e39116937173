//! The trace layer: records each call as a server span, child of the caller's span, with the gRPC code of the response.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use http::{Request, Response};
use jumun_core::trace_span;
use pin_project_lite::pin_project;
use tonic::{Status, body::Body};
use tower::{Layer, Service};
use tracing::{Instrument, Span, field, instrument::Instrumented};

use crate::call::Call;

/// Records each call as a server span.
#[derive(Clone, Copy)]
pub(crate) struct TraceLayer;

impl<S> Layer<S> for TraceLayer {
    type Service = Trace<S>;

    fn layer(&self, inner: S) -> Trace<S> {
        Trace { inner }
    }
}

#[derive(Clone)]
pub(crate) struct Trace<S> {
    inner: S,
}

impl<S: Service<Call, Response = Response<Body>, Error = Infallible>> Service<Call> for Trace<S> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = TraceFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let span = server_span(&call);
        let inner = span.in_scope(|| self.inner.call(call));
        TraceFuture { inner: inner.instrument(span) }
    }
}

pin_project! {
    pub(crate) struct TraceFuture<F> {
        #[pin]
        inner: Instrumented<F>,
    }
}

impl<F: Future<Output = Result<Response<Body>, Infallible>>> Future for TraceFuture<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let polled = this.inner.as_mut().poll(context);
        if let Poll::Ready(Ok(response)) = &polled
            && !this.inner.span().is_disabled()
        {
            let code = response.headers().get(Status::GRPC_STATUS).and_then(|value| value.to_str().ok()).unwrap_or("0");
            this.inner.span().record("rpc.response.status_code", code);
        }
        polled
    }
}

fn server_span(call: &Call) -> Span {
    let method = call.request.uri().path().trim_start_matches('/');
    trace_span!(
        traceparent(&call.request),
        "rpc",
        otel.name = method,
        otel.kind = "server",
        rpc.system.name = "grpc",
        rpc.method = method,
        rpc.response.status_code = field::Empty,
    )
}

/// The W3C trace context of a request.
pub(crate) fn traceparent(request: &Request<Body>) -> Option<&str> {
    request.headers().get("traceparent").and_then(|value| value.to_str().ok())
}
