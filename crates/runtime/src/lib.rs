//! The runtime: builds a process out of contexts, and serves it. Start to read at [`Runtime::build`].

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests may sleep and spawn as they like"))]

mod connection;
mod context;
mod context_builder;
mod context_setting;
mod first_bytes;
mod http_listener;
pub mod listener;
pub mod metrics;
mod metrics_page;
mod migrations;
mod platform;
mod runtime;
mod service_registry;
mod settings;
pub mod telemetry;
mod topology;

pub use context::Context;
pub use context_builder::ContextBuilder;
pub use context_setting::ContextSetting;
pub use http_listener::HttpListener;
pub use platform::{Operations, Platform};
pub use runtime::Runtime;
pub use service_registry::ServiceRegistry;
pub use settings::{DEFAULT_PROVIDER_CALLS, Settings};
pub use topology::Topology;
