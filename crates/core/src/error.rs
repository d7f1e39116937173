//! The error type of the platform: a gRPC code, a reason that programs switch on, and google.rpc details.

use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::{Reason, reasons};

/// The `domain` of every ErrorInfo (AIP-193).
pub const ERROR_DOMAIN: &str = "jumun.dev";
/// Maximum number of violations in a response. Errors are sent in headers, and some clients accept only 8 KiB of
/// headers.
const MAX_REPORTED: usize = 16;

/// One invalid field of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The field's path in the request, e.g. `item.parts[3].quantity`.
    pub field: String,
    /// What is wrong with it.
    pub description: String,
}

/// Why a request was rejected or failed: an entry of the catalogue of reasons, with the details of this occurrence.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
#[error("{reason}: {message}")]
pub struct Error {
    /// The gRPC code.
    pub code: Code,
    /// UPPER_SNAKE, stable: clients switch on it.
    pub reason: &'static str,
    /// One sentence for people; it may change.
    pub message: String,
    /// The delay before a retry; None if a retry cannot help.
    pub retry_after: Option<Duration>,
    /// The invalid fields of the request.
    pub violations: Vec<Violation>,
    /// Further details for programs, e.g. the resource's name: the metadata of ErrorInfo.
    pub metadata: Vec<(&'static str, String)>,
}

impl Error {
    /// An error with this reason and a message for people.
    pub fn new(reason: &'static Reason, message: impl Into<String>) -> Self {
        Self {
            code: reason.code,
            reason: reason.name,
            message: message.into(),
            retry_after: reason.retry_after,
            violations: Vec::new(),
            metadata: Vec::new(),
        }
    }

    /// INVALID_ARGUMENT: fields of the request are invalid in every state of the system.
    pub fn invalid(violations: Vec<Violation>) -> Self {
        let (message, violations) = reported(violations);
        Self { violations, ..Self::new(&reasons::INVALID_ARGUMENT, message) }
    }

    /// NOT_FOUND: no resource has this name, or the caller may not see it.
    pub fn not_found(name: &str) -> Self {
        Self::new(&reasons::NOT_FOUND, format!("{name} does not exist")).with("name", name)
    }

    /// ROLE_MISSING: the caller has none of the roles that the method at this path requires.
    pub fn role_missing(path: &str) -> Self {
        let message = "the token's roles do not allow this call";
        Self::new(&reasons::ROLE_MISSING, message).with("method", path.trim_start_matches('/'))
    }

    /// NOT_YOURS: the request would create or change a resource of another principal.
    pub fn not_yours() -> Self {
        Self::new(&reasons::NOT_YOURS, "the resource would belong to another principal")
    }

    /// METHOD_UNKNOWN: there is no method at this path.
    pub fn unimplemented(path: &str) -> Self {
        Self::new(&reasons::METHOD_UNKNOWN, format!("there is no method {path}"))
    }

    /// REQUEST_ID_REUSED: the `request_id` was already used with different parameters (rule S10 of `jumun check`).
    pub fn request_id_reused() -> Self {
        Self::new(
            &reasons::REQUEST_ID_REUSED,
            "this request_id was already used with different parameters; nothing changed",
        )
    }

    /// UNREADABLE_EVENT: an event is malformed or lacks a required field. It becomes a dead letter.
    pub fn unreadable_event(message: impl Into<String>) -> Self {
        Self::new(&reasons::UNREADABLE_EVENT, message)
    }

    /// DEADLINE_EXCEEDED: the outcome is unknown, and the same request may be repeated.
    pub fn deadline_exceeded(message: impl Into<String>) -> Self {
        Self::new(&reasons::DEADLINE_EXCEEDED, message)
    }

    /// DRILL_FAULT: a fault that an operator injected, with the code that the operator chose.
    pub fn drill(code: Code) -> Self {
        let error = Self::new(&reasons::DRILL_FAULT, "an operator injected this fault for a drill; nothing changed");
        let retry_after = error.retry_after.filter(|_| Reason::is_retried(code));
        Self { code, retry_after, ..error }
    }

    /// INTERNAL: a defect of the platform. The cause is logged and not sent to the caller.
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        tracing::error!(%cause, "internal error");
        Self::new(&reasons::INTERNAL, "internal error")
    }

    /// Replaces the retry delay of the catalogue.
    #[must_use]
    pub fn retry_after(self, retry_after: Duration) -> Self {
        Self { retry_after: Some(retry_after), ..self }
    }

    /// Replaces the retry delay of the catalogue if the callee sent one.
    #[must_use]
    pub fn override_retry_after(self, retry_after: Option<Duration>) -> Self {
        Self { retry_after: retry_after.or(self.retry_after), ..self }
    }

    /// Adds a pair to the ErrorInfo's metadata.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.metadata.push((key, value.into()));
        self
    }

    /// Whether the same operation may succeed if it is repeated later.
    pub fn is_transient(&self) -> bool {
        matches!(
            self.code,
            Code::Unavailable | Code::ResourceExhausted | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown
        ) || self.reason == reasons::CONCURRENT_CHANGE.name
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

/// The message and the violations of a response: at most 16 violations, and the number of further ones.
pub fn reported(mut violations: Vec<Violation>) -> (String, Vec<Violation>) {
    let more = violations.len().saturating_sub(MAX_REPORTED);
    violations.truncate(MAX_REPORTED);
    let mut descriptions: Vec<_> =
        violations.iter().map(|wrong| format!("{}: {}", wrong.field, wrong.description)).collect();
    if more > 0 {
        descriptions.push(format!("and {more} more"));
    }
    (descriptions.join("; "), violations)
}

/// The reason in the ErrorInfo of a status, or "" if it has none.
pub fn reason_of(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

/// A field that the validation rules of the proto require: it is present in every decoded request.
pub fn declared<T>(value: Option<T>) -> Result<T, Error> {
    value.ok_or_else(|| Error::internal("a validated request lacks a required field"))
}

/// Collects the violations that validation rules in protos cannot express, so that one response reports all of them.
#[derive(Debug, Default)]
pub struct Violations(Vec<Violation>);

impl Violations {
    /// Adds a violation of `field`.
    pub fn add(&mut self, field: impl Into<String>, description: impl Into<String>) {
        self.0.push(Violation { field: field.into(), description: description.into() });
    }

    /// Adds a violation of `field` unless `holds`.
    pub fn require(&mut self, holds: bool, field: &str, description: &str) {
        if !holds {
            self.add(field, description);
        }
    }

    /// Unwraps the value that was read from `field`, or adds the error as a violation.
    pub fn take<T>(&mut self, field: impl Into<String>, read: Result<T, String>) -> Option<T> {
        read.map_err(|description| self.add(field, description)).ok()
    }

    /// Fails with INVALID_ARGUMENT if there are violations.
    pub fn into_result(self) -> Result<(), Error> {
        if self.0.is_empty() { Ok(()) } else { Err(Error::invalid(self.0)) }
    }
}
