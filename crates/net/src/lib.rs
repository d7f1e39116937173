//! TLS for listeners and clients, and one bounded HTTP exchange with an outside party.

pub mod fetch;
pub mod tls;
