//! The errors of calls: the gRPC code, and the google.rpc details in `grpc-status-details-bin`.

use std::{collections::HashMap, fmt, time::Duration};

use anyhow::{Context, ensure};
use client::code_name;
use prost::Message;
use tonic::{Code, Status};

/// The result of a call.
pub(crate) type Answer<T> = Result<T, Box<Refusal>>;

/// An error status with its details.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) code: Code,
    /// The reason in UPPER_SNAKE_CASE; empty if there is none.
    pub(crate) reason: String,
    pub(crate) message: String,
    pub(crate) metadata: HashMap<String, String>,
    pub(crate) retry_after: Option<Duration>,
    /// The invalid fields of the request.
    pub(crate) fields: Vec<String>,
}

impl Refusal {
    /// Fails unless the error has this code and reason.
    pub(crate) fn require(&self, code: Code, reason: &str) -> anyhow::Result<()> {
        let expected = format!("{} {reason}", code_name(code));
        ensure!(self.code == code && self.reason == reason, "expected {expected}, got {self}");
        Ok(())
    }

    /// The retry delay; fails unless the code is retryable and the error has a retry delay.
    pub(crate) fn require_retry(&self) -> anyhow::Result<Duration> {
        let is_transient = matches!(self.code, Code::Unavailable | Code::ResourceExhausted | Code::DeadlineExceeded);
        let expected = "UNAVAILABLE, RESOURCE_EXHAUSTED or DEADLINE_EXCEEDED with a retry hint";
        let retry_after = self.retry_after.filter(|_| is_transient);
        retry_after.with_context(|| format!("expected {expected}, got {self}"))
    }

    /// The retry delay, if the call was rejected before anything was created.
    pub(crate) fn nothing_was_done(&self) -> Option<Duration> {
        let is_transient = matches!(self.code, Code::Unavailable | Code::ResourceExhausted);
        let is_named = ["order", "enrollment", "customer"].iter().any(|made| self.metadata.contains_key(*made));
        self.retry_after.filter(|_| is_transient && !is_named)
    }

    /// The order that the error names.
    pub(crate) fn require_order(&self) -> anyhow::Result<String> {
        self.require_named("order")
    }

    /// The resource that the error names under this key.
    pub(crate) fn require_named(&self, key: &str) -> anyhow::Result<String> {
        let name = self.metadata.get(key).cloned();
        name.with_context(|| format!("expected metadata that names the {key}, got {self}"))
    }

    /// The code and the reason, e.g. `FAILED_PRECONDITION NOT_READY`.
    pub(crate) fn title(&self) -> String {
        format!("{} {}", code_name(self.code), self.reason).trim_end().to_owned()
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.title())?;
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        if let Some(retry_after) = self.retry_after {
            write!(f, "; retry in {} s", retry_after.as_secs_f64())?;
        }
        Ok(())
    }
}

impl std::error::Error for Refusal {}

impl From<Status> for Box<Refusal> {
    fn from(status: Status) -> Self {
        let mut refusal = Refusal {
            code: status.code(),
            reason: String::new(),
            message: status.message().to_owned(),
            metadata: HashMap::new(),
            retry_after: None,
            fields: Vec::new(),
        };
        // Details that cannot be decoded are ignored; the code and the message remain.
        for detail in RpcStatus::decode(status.details()).unwrap_or_default().details {
            let _ = refusal.read(&detail);
        }
        Box::new(refusal)
    }
}

impl Refusal {
    fn read(&mut self, detail: &Any) -> Result<(), prost::DecodeError> {
        match detail.type_url.rsplit('/').next() {
            Some("google.rpc.ErrorInfo") => {
                let info = ErrorInfo::decode(detail.value.as_slice())?;
                (self.reason, self.metadata) = (info.reason, info.metadata);
            }
            Some("google.rpc.RetryInfo") => {
                let delay = RetryInfo::decode(detail.value.as_slice())?.retry_delay.unwrap_or_default();
                let (seconds, nanos) = (u64::try_from(delay.seconds), u32::try_from(delay.nanos));
                self.retry_after = Some(Duration::new(seconds.unwrap_or_default(), nanos.unwrap_or_default()));
            }
            Some("google.rpc.BadRequest") => {
                let violations = BadRequest::decode(detail.value.as_slice())?.field_violations;
                self.fields.extend(violations.into_iter().map(|violation| violation.field));
            }
            _ => {}
        }
        Ok(())
    }
}

// === The parts of google/rpc/status.proto and error_details.proto that are read ===

#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct ErrorInfo {
    #[prost(string, tag = "1")]
    reason: String,
    #[prost(map = "string, string", tag = "3")]
    metadata: HashMap<String, String>,
}

#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<Delay>,
}

/// google.protobuf.Duration.
#[derive(Clone, Copy, PartialEq, Message)]
struct Delay {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

#[derive(Clone, PartialEq, Message)]
struct BadRequest {
    #[prost(message, repeated, tag = "1")]
    field_violations: Vec<FieldViolation>,
}

#[derive(Clone, PartialEq, Message)]
struct FieldViolation {
    #[prost(string, tag = "1")]
    field: String,
}
