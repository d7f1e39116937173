//! Errors that the gRPC library answers by itself, before or beside a handler: they get a reason like all others.

use http::Response;
use tonic::{Code, Status, body::Body};

use crate::{Error, Reason, reasons};

/// The response, or, where it is an error without a reason, the same error with one.
pub(crate) fn explained(response: Response<Body>) -> Response<Body> {
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
        // It blames itself for bytes that break the protocol; it is the caller who sent them.
        Code::Internal => &reasons::UNREADABLE_REQUEST,
        Code::InvalidArgument => &reasons::INVALID_ARGUMENT,
        Code::NotFound => &reasons::NOT_FOUND,
        Code::DeadlineExceeded | Code::Cancelled => &reasons::DEADLINE_EXCEEDED,
        _ => &reasons::INTERNAL,
    }
}
