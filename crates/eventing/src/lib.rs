//! Events between contexts: the outbox relay publishes them on a bus, and subscriptions apply each once and in order.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests may sleep and spawn as they like"))]

mod bus;
mod jetstream;
mod local;
mod relay;
mod subscription;
mod transport;

pub use bus::{Bus, Delivery, Incoming};
pub use jetstream::{JetStreamBus, JetStreamSettings};
pub use local::LocalBus;
pub use relay::Relay;
pub use subscription::{EventEffect, Policy, Subscription, SubscriptionHandle, decode, event_id, policy};
pub use transport::{Acknowledgement, BusError, BusIdentity};
