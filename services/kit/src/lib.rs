//! Mechanism only, no business word in it: the engine and its storage, the outbox and the inbox, the bus, the server,
//! telemetry, and the world that tests run in.
//!
//! A context offers a [`Context`]; a [`Host`] wires some of them into a process.

mod admin;
mod admission;
mod aggregate;
pub mod ambient;
pub mod auth;
mod bench;
pub mod bus;
mod channel;
pub mod consumer;
pub mod descriptors;
mod edge;
mod engine;
mod error;
mod fault;
pub mod fetch;
mod host;
pub mod http;
mod message;
mod method;
mod metrics;
mod money;
pub mod name;
pub mod outbox;
mod overload;
mod page;
mod query;
mod reason;
pub mod reasons;
mod server;
mod setting;
pub mod storage;
mod stream;
pub mod telemetry;
mod time;
pub mod tls;
mod unexplained;
mod version;
#[cfg(feature = "world")]
pub mod world;

pub use aggregate::{Aggregate, Decision, StateName, Stored};
pub use auth::{Caller, Owner, Role};
pub use channel::{Channel, MAX_OUTGOING_CALL};
pub use consumer::{Policy, Reaction, event_id, policy};
pub use contracts::{EventKind, validation::ERROR_DOMAIN};
pub use edge::{Edge, MAX_CALL};
pub use engine::{Decide, Done, Engine, LateIndex, MAX_BATCH, MAX_QUEUED, RequestKey};
pub use error::{Error, Violation, Violations, declared, reason_of};
pub use host::{Context, DEFAULT_PROVIDER_CALLS, Host, Places, Settings, Unit};
pub use message::Message;
pub use method::MAX_STREAM;
pub use money::Money;
pub use overload::{Bulkhead, Place};
pub use page::{FilterField, PageRequest};
pub use query::Query;
pub use reason::{Class, Reason};
pub use server::MAX_REQUEST_BYTES;
pub use setting::ContextSetting;
pub use time::{Clock, Time};
pub use tonic::Code;
pub use version::{DEFAULT_SERVICE_VERSION, ServiceVersion};
