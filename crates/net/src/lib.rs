//! TLS for listeners and clients, and a bounded HTTP client for external servers.

pub mod fetch;
pub mod tls;
