//! The foundation of all other crates: errors and reasons, money, time, ids, principals, the request context, event
//! envelopes and trace context. Only this crate spawns tasks, sleeps, and reads clocks and entropy.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests may sleep and spawn as they like"))]

pub mod code;
pub mod contracts;
mod envelope;
mod error;
mod event_kind;
mod metric;
mod money;
pub mod name;
mod principal;
pub mod random;
mod reason;
pub mod reasons;
pub mod request_context;
pub mod task;
pub mod time;
pub mod trace;
pub mod url;
mod version;

pub use contracts::Contracts;
pub use envelope::Envelope;
pub use error::{ERROR_DOMAIN, Error, Violation, Violations, declared, reason_of, reported};
pub use event_kind::EventKind;
pub use metric::{Metric, MetricKind};
pub use money::Money;
pub use principal::{Caller, Principal, Role, RoleTable, Roles};
pub use reason::{Class, Reason};
pub use request_context::RequestContext;
pub use time::{Clock, Time};
pub use tonic::Code;
pub use version::{DEFAULT_SERVICE_VERSION, ServiceVersion};
