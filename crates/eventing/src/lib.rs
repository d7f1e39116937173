//! Events between contexts: subscriptions apply each once and in order. Within a process they read the histories of the
//! contexts; between processes the outbox relay publishes on JetStream.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests may sleep and spawn as they like"))]

mod bus;
mod catch_up;
mod consumer;
mod jetstream;
mod local;
mod relay;
mod stall;
mod subscription;
mod transport;

pub use bus::Bus;
pub use consumer::consume;
pub use jetstream::{JetStreamBus, JetStreamDelivery, JetStreamIncoming, JetStreamSettings};
pub use local::{LocalBus, record_identity};
pub use relay::Relay;
pub use subscription::{EventEffect, Policy, Subscription, SubscriptionHandle, decode, event_id, policy};
pub use transport::{Acknowledgement, BusError, BusIdentity};
