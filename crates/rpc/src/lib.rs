//! gRPC between processes and within one: the server stack ([`GrpcStack`]) and the client channel ([`Channel`]). Each
//! is one list of tower layers: deadlines, concurrency limits, circuit breakers, retries, fault injection.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests may sleep and spawn as they like"))]

mod admission;
mod authorize;
mod backlog;
mod backpressure;
mod bounded_stream;
mod breaker;
mod bulkhead;
mod call;
mod channel;
mod channel_layers;
mod circuit;
mod deadline;
mod explain_errors;
mod fault_injection;
mod limiter;
mod meters;
mod method;
pub mod metrics;
mod overload;
mod request_context;
mod retry;
mod retry_budget;
mod routes;
mod served_by;
mod stack;
mod trace;

pub use admission::AdmissionControl;
pub use backlog::Backlog;
pub use breaker::{Counts, State};
pub use bulkhead::{Bulkhead, Permit};
pub use call::grpc_timeout;
pub use channel::Channel;
pub use channel_layers::MAX_OUTGOING_CALL;
pub use circuit::{Circuit, CircuitStatus};
pub use fault_injection::{Fault, Faults, MAX_DELAY};
pub use limiter::Limiter;
pub use meters::Meters;
pub use method::{MAX_CALL, MAX_STREAM, Method, MethodTable};
pub use overload::{Connections, Overload};
pub use routes::{Answer, Services};
pub use served_by::ServedByHeaders;
pub use stack::{GrpcStack, LocalStack, StackParts};

/// The largest request message (bytes).
pub const MAX_REQUEST_BYTES: usize = 256 * 1024;
