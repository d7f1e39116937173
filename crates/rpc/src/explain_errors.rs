//! The layer that adds reasons to the errors of the gRPC library, so that every error has an ErrorInfo.

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

/// Adds a reason to errors that have none.
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
        self.project().inner.poll(context).map_ok(with_reason)
    }
}

/// The response; if it is an error without details, the same error with a reason.
fn with_reason(response: Response<Body>) -> Response<Body> {
    let headers = response.headers();
    // A response with messages has its status in the trailers, and the platform's own errors have details.
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

/// The reason for each code that tonic returns by itself.
fn reason(status: &Status) -> &'static Reason {
    match status.code() {
        Code::Unimplemented => &reasons::METHOD_UNKNOWN,
        // tonic returns RESOURCE_EXHAUSTED for a message that is too large after decompression.
        Code::OutOfRange | Code::ResourceExhausted => &reasons::MESSAGE_TOO_LARGE,
        // tonic returns INTERNAL for bytes of the caller that violate the protocol.
        Code::Internal => &reasons::UNREADABLE_REQUEST,
        Code::InvalidArgument => &reasons::INVALID_ARGUMENT,
        Code::NotFound => &reasons::NOT_FOUND,
        Code::DeadlineExceeded | Code::Cancelled => &reasons::DEADLINE_EXCEEDED,
        _ => &reasons::INTERNAL,
    }
}
