//! The one error that leaves a context: a gRPC code, a reason a program can switch on, and google.rpc details.

use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::name::{check_request_id, id_in};

/// The `domain` of every ErrorInfo (AIP-193).
pub const ERROR_DOMAIN: &str = "jumun.dev";

/// Why a request was refused or could not be served.
///
/// Business refusals and faults differ by `code` (AIP-193): FAILED_PRECONDITION, INVALID_ARGUMENT, NOT_FOUND and
/// ABORTED are refusals; UNAVAILABLE, RESOURCE_EXHAUSTED, DEADLINE_EXCEEDED and INTERNAL are faults.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{reason}: {message}")]
pub struct Error {
    /// The gRPC code.
    pub code: Code,
    /// UPPER_SNAKE, stable: clients switch on it.
    pub reason: &'static str,
    /// One sentence for a person.
    pub message: String,
    /// When to try again, where trying again helps.
    pub retry_after: Option<Duration>,
    /// The request's fields that are wrong.
    pub violations: Vec<Violation>,
    /// More for a program, e.g. the order's name.
    pub metadata: Vec<(&'static str, String)>,
}

/// One field of a request that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The field's path in the request, e.g. `order.items[3].quantity`.
    pub field: String,
    /// What is wrong with it.
    pub description: String,
}

impl Error {
    fn new(code: Code, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), retry_after: None, violations: Vec::new(), metadata: Vec::new() }
    }

    /// The request's fields are wrong, whatever the state of the system.
    pub fn invalid(violations: Vec<Violation>) -> Self {
        let message = violations
            .iter()
            .map(|violation| format!("{}: {}", violation.field, violation.description))
            .collect::<Vec<_>>()
            .join("; ");
        Self { violations, ..Self::new(Code::InvalidArgument, "INVALID_ARGUMENT", message) }
    }

    /// The HTTP request is not one that can be read as a call.
    pub fn unreadable(reason: &'static str, message: impl Into<String>) -> Self {
        Self::new(Code::InvalidArgument, reason, message)
    }

    /// Nothing has this name, or nothing the caller may see.
    pub fn not_found(name: &str) -> Self {
        Self::new(Code::NotFound, "NOT_FOUND", format!("{name} does not exist")).with("name", name)
    }

    /// The state of the resource does not allow it.
    pub fn precondition(reason: &'static str, message: impl Into<String>) -> Self {
        Self::new(Code::FailedPrecondition, reason, message)
    }

    /// The `request_id` came before with another body (rule S10).
    pub fn request_id_reused() -> Self {
        Self::precondition("REQUEST_ID_REUSED", "this request_id came before with another body")
    }

    /// An event does not say what it must: it becomes a dead letter.
    pub fn unreadable_event(message: impl Into<String>) -> Self {
        Self::precondition("UNREADABLE_EVENT", message)
    }

    /// It did not happen, and starting over (with a new `request_id`) may work.
    pub fn aborted(reason: &'static str, message: impl Into<String>) -> Self {
        Self::new(Code::Aborted, reason, message)
    }

    /// It may have happened or not; the same request may be repeated after `retry_after`.
    pub fn unavailable(reason: &'static str, message: impl Into<String>, retry_after: Duration) -> Self {
        Self { retry_after: Some(retry_after), ..Self::new(Code::Unavailable, reason, message) }
    }

    /// Too much at once: it did not happen; repeat it after `retry_after`.
    pub fn exhausted(reason: &'static str, message: impl Into<String>, retry_after: Duration) -> Self {
        Self { retry_after: Some(retry_after), ..Self::new(Code::ResourceExhausted, reason, message) }
    }

    /// Time ran out; it may have happened or not, and the same request may be repeated.
    pub fn deadline_exceeded(message: impl Into<String>) -> Self {
        Self {
            retry_after: Some(Duration::from_secs(1)),
            ..Self::new(Code::DeadlineExceeded, "DEADLINE_EXCEEDED", message)
        }
    }

    /// A fault of ours. The cause is logged; the caller learns nothing of it.
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        tracing::error!(%cause, "internal error");
        Self::new(Code::Internal, "INTERNAL", "internal error")
    }

    /// Adds a pair to the ErrorInfo's metadata.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.metadata.push((key, value.into()));
        self
    }

    /// Whether the same work may succeed when repeated later.
    pub fn is_transient(&self) -> bool {
        matches!(
            self.code,
            Code::Unavailable | Code::ResourceExhausted | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown
        )
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let mut details = ErrorDetails::new();
        details.set_error_info(
            error.reason,
            ERROR_DOMAIN,
            error
                .metadata
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect::<std::collections::HashMap<_, _>>(),
        );
        if error.retry_after.is_some() {
            details.set_retry_info(error.retry_after);
        }
        for violation in error.violations {
            details.add_bad_request_violation(violation.field, violation.description);
        }
        Status::with_error_details(error.code, error.message, details)
    }
}

/// The reason in a status that another context answered, or "" when it has none.
pub fn reason_of(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

/// Checks what a request is about: the resource `name` of a collection, and its `request_id`, which may be left out.
pub fn check_target(collection: &str, name: &str, request_id: &str) -> Result<(), Error> {
    let mut violations = Violations::default();
    violations.id("name", collection, name);
    violations.request_id(request_id);
    violations.into_result()
}

/// Collects everything wrong with a request, so that the caller learns it all at once.
#[derive(Debug, Default)]
pub struct Violations(Vec<Violation>);

impl Violations {
    /// Notes that `field` is wrong.
    pub fn add(&mut self, field: impl Into<String>, description: impl Into<String>) {
        self.0.push(Violation { field: field.into(), description: description.into() });
    }

    /// Notes `description` of `field` unless `holds`.
    pub fn require(&mut self, holds: bool, field: &str, description: &str) {
        if !holds {
            self.add(field, description);
        }
    }

    /// Unwraps what was read from `field`, or notes why it could not be read.
    pub fn take<T>(&mut self, field: impl Into<String>, read: Result<T, String>) -> Option<T> {
        read.map_err(|description| self.add(field, description)).ok()
    }

    /// The id in a resource's name, or a note that `field` has none.
    pub fn id<'a>(&mut self, field: &str, collection: &str, name: &'a str) -> &'a str {
        self.take(field, id_in(collection, name)).unwrap_or_default()
    }

    /// Notes a `request_id` that is not one; it may be left out.
    pub fn request_id(&mut self, request_id: &str) {
        if !request_id.is_empty() {
            self.take("request_id", check_request_id(request_id));
        }
    }

    /// Fails when anything was noted.
    pub fn into_result(self) -> Result<(), Error> {
        if self.0.is_empty() { Ok(()) } else { Err(Error::invalid(self.0)) }
    }
}
