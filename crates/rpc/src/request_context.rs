//! The request-context layer: keeps deadline, trace, caller and requested version of a call in a task-local context.

use std::{
    convert::Infallible,
    task::{Context, Poll},
};

use http::Response;
use jumun_core::{RequestContext, time::Instant};
use tokio::task::futures::TaskLocalFuture;
use tonic::body::Body;
use tower::{Layer, Service};

use crate::{call::Call, served_by::requested_version, trace::traceparent};

/// Runs each call in a request context of its own.
#[derive(Clone, Copy)]
pub(crate) struct RequestContextLayer;

impl<S> Layer<S> for RequestContextLayer {
    type Service = InRequestContext<S>;

    fn layer(&self, inner: S) -> InRequestContext<S> {
        InRequestContext { inner }
    }
}

#[derive(Clone)]
pub(crate) struct InRequestContext<S> {
    inner: S,
}

impl<S: Service<Call, Response = Response<Body>, Error = Infallible>> Service<Call> for InRequestContext<S> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = TaskLocalFuture<RequestContext, S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let context = RequestContext {
            deadline: Some(Instant::now() + call.time_limit()),
            traceparent: traceparent(&call.request).map(str::to_owned),
            caller: call.caller.clone().unwrap_or_default(),
            version: requested_version(call.request.headers()),
        };
        context.scope(self.inner.call(call))
    }
}
