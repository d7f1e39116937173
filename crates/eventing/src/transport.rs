//! What both buses answer with.

use futures::future::BoxFuture;

/// Why the bus did not take an event, or does not deliver.
#[derive(Debug, thiserror::Error)]
#[error("bus: {0}")]
pub struct BusError(pub String);

impl BusError {
    pub(crate) fn new(error: impl std::fmt::Display) -> Self {
        Self(error.to_string())
    }
}

/// Done when the bus has an event for good.
pub type Acknowledged = BoxFuture<'static, Result<(), BusError>>;

/// What a bus has seen of a context's events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity(pub String);

impl Identity {
    /// Whether a bus that was `before` has seen everything that this one must have.
    pub fn is_covered_by(&self, before: &str) -> bool {
        let before: Vec<&str> = before.split(' ').collect();
        self.0.split(' ').all(|part| before.contains(&part))
    }
}
