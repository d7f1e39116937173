//! Types that both buses share.

use futures::future::BoxFuture;

/// An error of the bus: it did not accept an event, or does not deliver.
#[derive(Debug, thiserror::Error)]
#[error("bus: {0}")]
pub struct BusError(pub String);

impl BusError {
    pub(crate) fn new(error: impl std::fmt::Display) -> Self {
        Self(error.to_string())
    }
}

/// Resolves once the bus has acknowledged an event.
pub type Acknowledgement = BoxFuture<'static, Result<(), BusError>>;

/// Identifies a bus by what it has received of a context's events: one or more parts, separated by spaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BusIdentity(pub String);

impl BusIdentity {
    /// Whether a bus with the identity `before` has received all events that this one needs.
    pub fn is_covered_by(&self, before: &str) -> bool {
        let before: Vec<&str> = before.split(' ').collect();
        self.0.split(' ').all(|part| before.contains(&part))
    }
}
