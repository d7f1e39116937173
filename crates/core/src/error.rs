//! The one error that leaves a context: a gRPC code, a reason a program can switch on, and google.rpc details.

use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::{Reason, reasons};

/// The `domain` of every ErrorInfo (AIP-193).
pub const ERROR_DOMAIN: &str = "jumun.dev";
/// Violations in one answer: errors travel in headers, and some clients take no more than 8 KiB of those.
const MAX_REPORTED: usize = 16;

/// One field of a request that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The field's path in the request, e.g. `item.parts[3].quantity`.
    pub field: String,
    /// What is wrong with it.
    pub description: String,
}

/// Why a request was refused or could not be served: an entry of the catalogue, and what it is about this time.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
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
    /// More for a program, e.g. the resource's name.
    pub metadata: Vec<(&'static str, String)>,
}

impl Error {
    /// An error of the catalogue, and what it is about here in one sentence for a person.
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

    /// The request's fields are wrong, whatever the state of the system.
    pub fn invalid(violations: Vec<Violation>) -> Self {
        let (message, violations) = reported(violations);
        Self { violations, ..Self::new(&reasons::INVALID_ARGUMENT, message) }
    }

    /// Nothing has this name, or nothing the caller may see.
    pub fn not_found(name: &str) -> Self {
        Self::new(&reasons::NOT_FOUND, format!("{name} does not exist")).with("name", name)
    }

    /// The caller has none of the roles that the method at this path is for.
    pub fn role_missing(path: &str) -> Self {
        let message = "the token's roles do not allow this call";
        Self::new(&reasons::ROLE_MISSING, message).with("method", path.trim_start_matches('/'))
    }

    /// What the request would make belongs to somebody else than the caller.
    pub fn not_yours() -> Self {
        Self::new(&reasons::NOT_YOURS, "this can be done for oneself only")
    }

    /// There is no method at this path.
    pub fn unimplemented(path: &str) -> Self {
        Self::new(&reasons::METHOD_UNKNOWN, format!("there is no method {path}"))
    }

    /// The `request_id` came before with another body (rule S10).
    pub fn request_id_reused() -> Self {
        Self::new(&reasons::REQUEST_ID_REUSED, "this request_id came before with another body")
    }

    /// An event does not say what it must: it becomes a dead letter.
    pub fn unreadable_event(message: impl Into<String>) -> Self {
        Self::new(&reasons::UNREADABLE_EVENT, message)
    }

    /// Time ran out; it may have happened or not, and the same request may be repeated.
    pub fn deadline_exceeded(message: impl Into<String>) -> Self {
        Self::new(&reasons::DEADLINE_EXCEEDED, message)
    }

    /// What an operator set for a drill, with the code that was set.
    pub fn drill(code: Code) -> Self {
        let error = Self::new(&reasons::DRILL_FAULT, "a fault was set for a drill; nothing was done");
        let retry_after = error.retry_after.filter(|_| Reason::is_retried(code));
        Self { code, retry_after, ..error }
    }

    /// A fault of ours. The cause is logged; the caller learns nothing of it.
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        tracing::error!(%cause, "internal error");
        Self::new(&reasons::INTERNAL, "internal error")
    }

    /// Says better than the catalogue when to try again.
    #[must_use]
    pub fn retry_after(self, retry_after: Duration) -> Self {
        Self { retry_after: Some(retry_after), ..self }
    }

    /// Passes on when somebody else said to try again, where he said so.
    #[must_use]
    pub fn retry_as_told(self, told: Option<Duration>) -> Self {
        Self { retry_after: told.or(self.retry_after), ..self }
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

/// What a caller is told: one sentence, and as many violations as fit an answer.
pub fn reported(mut violations: Vec<Violation>) -> (String, Vec<Violation>) {
    let more = violations.len().saturating_sub(MAX_REPORTED);
    violations.truncate(MAX_REPORTED);
    let mut words: Vec<_> = violations.iter().map(|wrong| format!("{}: {}", wrong.field, wrong.description)).collect();
    if more > 0 {
        words.push(format!("and {more} more"));
    }
    (words.join("; "), violations)
}

/// The reason in a status that another context answered, or "" when it has none.
pub fn reason_of(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

/// What a request must have, as its proto declares: it was decoded, so it is there.
pub fn declared<T>(value: Option<T>) -> Result<T, Error> {
    value.ok_or_else(|| Error::internal("a request came through without what it must have"))
}

/// Collects what is wrong with a request beyond what its proto can declare, so that the caller learns it all at once.
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

    /// Fails when anything was noted.
    pub fn into_result(self) -> Result<(), Error> {
        if self.0.is_empty() { Ok(()) } else { Err(Error::invalid(self.0)) }
    }
}
