//! The layer that explains errors: what the gRPC library answers by itself gets a reason like every other error.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use http::Response;
use jumun_core::{Error, Reason, reasons};
use pin_project_lite::pin_project;
use tonic::{Code, Status, body::Body};
use tower::{Layer, Service};

use crate::call::Call;

/// Gives a reason to errors that have none.
#[derive(Clone, Copy)]
pub(crate) struct ExplainErrorsLayer;

impl<S> Layer<S> for ExplainErrorsLayer {
    type Service = ExplainErrors<S>;

    fn layer(&self, inner: S) -> ExplainErrors<S> {
        ExplainErrors { inner }
    }
}

#[derive(Clone)]
pub(crate) struct ExplainErrors<S> {
    inner: S,
}

impl<S: Service<Call, Response = Response<Body>, Error = Infallible>> Service<Call> for ExplainErrors<S> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = ExplainErrorsFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        ExplainErrorsFuture { inner: self.inner.call(call) }
    }
}

pin_project! {
    pub(crate) struct ExplainErrorsFuture<F> {
        #[pin]
        inner: F,
    }
}

impl<F: Future<Output = Result<Response<Body>, Infallible>>> Future for ExplainErrorsFuture<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().inner.poll(context).map_ok(explained)
    }
}

/// The response, or, where it is an error without a reason, the same error with one.
fn explained(response: Response<Body>) -> Response<Body> {
    let headers = response.headers();
    // An answer tells its status in the trailers, and an error of ours has details.
    if !headers.contains_key(Status::GRPC_STATUS) || headers.contains_key(Status::GRPC_STATUS_DETAILS) {
        return response;
    }
    match Status::from_header_map(headers) {
        Some(status) if status.code() != Code::Ok => {
            let message = if status.message().is_empty() { reason(&status).when } else { status.message() };
            Status::from(Error::new(reason(&status), message)).into_http()
        }
        _ => response,
    }
}

/// What the library means by its codes.
fn reason(status: &Status) -> &'static Reason {
    match status.code() {
        Code::Unimplemented => &reasons::METHOD_UNKNOWN,
        // RESOURCE_EXHAUSTED is what it says of a message that is too large when it is unpacked.
        Code::OutOfRange | Code::ResourceExhausted => &reasons::MESSAGE_TOO_LARGE,
        // The library blames itself for bytes that break the protocol; the caller sent them.
        Code::Internal => &reasons::UNREADABLE_REQUEST,
        Code::InvalidArgument => &reasons::INVALID_ARGUMENT,
        Code::NotFound => &reasons::NOT_FOUND,
        Code::DeadlineExceeded | Code::Cancelled => &reasons::DEADLINE_EXCEEDED,
        _ => &reasons::INTERNAL,
    }
}
