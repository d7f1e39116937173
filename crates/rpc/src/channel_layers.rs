//! The layers of the client channel, outermost first: trace, deadline, circuit breaker, timeout, context propagation.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures::future::BoxFuture;
use http::{HeaderValue, Request, Response};
use jumun_core::{Error, request_context, time::timeout, trace, trace_span};
use tonic::{Code, Status, body::Body};
use tower::{Layer, Service};
use tracing::{Instrument, instrument::Instrumented};

use crate::{circuit::Circuit, served_by};

/// The part of the caller's remaining time that a call must leave, for sending the response.
pub(crate) const RESERVE: Duration = Duration::from_millis(50);
/// The longest timeout of a call to another context.
pub const MAX_OUTGOING_CALL: Duration = Duration::from_secs(2);

type Outcome = BoxFuture<'static, Result<Response<Body>, Status>>;

/// A request with its timeout.
pub(crate) struct OutgoingCall {
    pub(crate) request: Request<Body>,
    pub(crate) timeout: Duration,
}

/// Declares a stateless layer and its service.
macro_rules! layer {
    ($(#[$doc:meta])* $layer:ident => $service:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub(crate) struct $layer;

        impl<S> Layer<S> for $layer {
            type Service = $service<S>;

            fn layer(&self, inner: S) -> $service<S> {
                $service { inner }
            }
        }

        #[derive(Clone)]
        pub(crate) struct $service<S> {
            inner: S,
        }
    };
}

layer! {
    /// Records each call as a client span.
    TraceCallLayer => TraceCall
}

impl<S: Service<Request<Body>, Response = Response<Body>, Error = Status>> Service<Request<Body>> for TraceCall<S> {
    type Response = Response<Body>;
    type Error = Status;
    type Future = Instrumented<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Status>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let method = request.uri().path().trim_start_matches('/');
        let span = trace_span!(
            None,
            "rpc",
            otel.name = method,
            otel.kind = "client",
            rpc.system.name = "grpc",
            rpc.method = method,
        );
        // The layers below read the current span.
        let call = span.in_scope(|| self.inner.call(request));
        call.instrument(span)
    }
}

layer! {
    /// Sets the timeout of each call: the caller's remaining time less [`RESERVE`], and at most [`MAX_OUTGOING_CALL`].
    BoundCallLayer => BoundCall
}

impl<S> Service<Request<Body>> for BoundCall<S>
where
    S: Service<OutgoingCall, Response = Response<Body>, Error = Status, Future = Outcome>,
{
    type Response = Response<Body>;
    type Error = Status;
    type Future = Outcome;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Status>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Outcome {
        let left = request_context::remaining().map(|left| left.saturating_sub(RESERVE));
        let timeout = left.unwrap_or(MAX_OUTGOING_CALL).min(MAX_OUTGOING_CALL);
        if timeout.is_zero() {
            let error = Error::deadline_exceeded("no time is left to call another context");
            return Box::pin(async { Err(error.into()) });
        }
        self.inner.call(OutgoingCall { request, timeout })
    }
}

/// Rejects calls while the circuit is open, and records the outcome of each call.
#[derive(Clone)]
pub(crate) struct BreakCircuitLayer(pub(crate) Arc<Circuit>);

impl<S> Layer<S> for BreakCircuitLayer {
    type Service = BreakCircuit<S>;

    fn layer(&self, inner: S) -> BreakCircuit<S> {
        BreakCircuit { circuit: self.0.clone(), inner }
    }
}

#[derive(Clone)]
pub(crate) struct BreakCircuit<S> {
    circuit: Arc<Circuit>,
    inner: S,
}

impl<S> Service<OutgoingCall> for BreakCircuit<S>
where
    S: Service<OutgoingCall, Response = Response<Body>, Error = Status> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Status;
    type Future = Outcome;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Status>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, call: OutgoingCall) -> Outcome {
        let Self { circuit, mut inner } = self.clone();
        Box::pin(async move {
            let sent = circuit.send(call.timeout)?;
            let result = inner.call(call).await;
            sent.end(code(&result));
            result
        })
    }
}

layer! {
    /// Ends each call with DEADLINE_EXCEEDED at its timeout.
    TimeoutLayer => Timeout
}

impl<S> Service<OutgoingCall> for Timeout<S>
where
    S: Service<OutgoingCall, Response = Response<Body>, Error = Status>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Status;
    type Future = Outcome;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Status>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, call: OutgoingCall) -> Outcome {
        let answer = timeout(call.timeout, self.inner.call(call));
        Box::pin(async move {
            let timed_out = || Error::deadline_exceeded("another context did not answer in time").into();
            let result = answer.await.unwrap_or_else(|_| Err(timed_out()));
            if let Ok(response) = &result {
                served_by::record(response.headers());
            }
            result
        })
    }
}

layer! {
    /// Sends the trace context and the requested version of the current request.
    PropagateContextLayer => PropagateContext
}

impl<S: Service<OutgoingCall>> Service<OutgoingCall> for PropagateContext<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut call: OutgoingCall) -> S::Future {
        let headers = call.request.headers_mut();
        if let Some(value) = trace::traceparent().and_then(|text| HeaderValue::try_from(text).ok()) {
            headers.insert("traceparent", value);
        }
        if let Some(value) = request_context::version() {
            headers.insert(served_by::REQUESTED_VERSION, value);
        }
        self.inner.call(call)
    }
}

/// The gRPC code of a result.
fn code(result: &Result<Response<Body>, Status>) -> Code {
    match result {
        Ok(response) => {
            response.headers().get(Status::GRPC_STATUS).map_or(Code::Ok, |code| Code::from_bytes(code.as_bytes()))
        }
        Err(status) => status.code(),
    }
}
