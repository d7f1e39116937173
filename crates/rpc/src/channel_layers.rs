//! The layers of the client channel, outermost first: trace, bound, circuit breaker, timeout, context.

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

/// What a call leaves of its caller's time, to answer in.
pub(crate) const RESERVE: Duration = Duration::from_millis(50);
/// How long a call to another context may take at most.
pub const MAX_OUTGOING_CALL: Duration = Duration::from_secs(2);

type Outcome = BoxFuture<'static, Result<Response<Body>, Status>>;

/// A request, and how long its answer is waited for.
pub(crate) struct OutgoingCall {
    pub(crate) request: Request<Body>,
    pub(crate) timeout: Duration,
}

/// Declares a layer without state, and the service that it makes.
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
    /// Records each call as a span of its caller's trace.
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
        // What the layers below read of the present span is this one.
        let call = span.in_scope(|| self.inner.call(request));
        call.instrument(span)
    }
}

layer! {
    /// Bounds each call by its caller's deadline, less a reserve to answer in.
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
            let error = Error::deadline_exceeded("no time is left to ask another context");
            return Box::pin(async { Err(error.into()) });
        }
        self.inner.call(OutgoingCall { request, timeout })
    }
}

/// Sends nothing while the circuit is open, and notes how each call ended.
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
    /// Ends each call with DEADLINE_EXCEEDED when its time is up.
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
            let late = || Error::deadline_exceeded("another context did not answer in time").into();
            let result = answer.await.unwrap_or_else(|_| Err(late()));
            if let Ok(response) = &result {
                served_by::note(response.headers());
            }
            result
        })
    }
}

layer! {
    /// Tells the callee which trace a call belongs to, and which version is wanted.
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
            headers.insert(served_by::WANTED, value);
        }
        self.inner.call(call)
    }
}

/// The code of an answer.
fn code(result: &Result<Response<Body>, Status>) -> Code {
    match result {
        Ok(response) => {
            response.headers().get(Status::GRPC_STATUS).map_or(Code::Ok, |code| Code::from_bytes(code.as_bytes()))
        }
        Err(status) => status.code(),
    }
}
