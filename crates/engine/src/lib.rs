//! The engine: loads, decides and saves many aggregates per transaction. It includes the storage layer and the tables
//! that
//! the engine maintains for a context: events, requests, inbox and dead letters.
//!
//! A context describes an aggregate ([`Aggregate`], [`Stored`]) and decides by pure rules; the engine stores it in
//! SQLite or
//! PostgreSQL, answers retries with the first reply, restricts callers to the aggregates that they own, and pages
//! lists.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests may sleep and spawn as they like"))]

mod aggregate;
mod batch;
pub mod bus_identity;
pub mod dead_letters;
mod deferred_index;
mod engine;
pub mod event_log;
mod filter;
mod handle;
pub mod history;
mod job;
mod list;
pub mod metrics;
pub mod outbox;
mod owner;
mod ownership;
mod page_token;
pub mod positions;
mod query;
mod queue;
mod request_key;
mod row;
mod rows;
mod shared;
pub mod storage;
mod watch;
mod writer;

pub use aggregate::{Aggregate, Decision, StateName, Stored};
pub use deferred_index::DeferredIndex;
pub use engine::{Engine, existing};
pub use filter::FilterField;
pub use handle::EngineHandle;
pub use job::{AppliedBatch, Arrival, CommandOutcome, Decide, EventBatch, InboxEvent};
pub use list::{PageRequest, page_size};
pub use owner::Owner;
pub use ownership::may_see;
pub use page_token::PageTokens;
pub use query::Query;
pub use queue::{MAX_BATCH, MAX_QUEUED, Maintenance};
pub use request_key::RequestKey;
