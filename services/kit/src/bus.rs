//! The two buses behind one face: `local`, within the process, and `jetstream`. Both deliver at least once and keep an
//! aggregate's events in order as far as they can; the inbox makes it once and exactly in order.

mod jetstream;
mod local;

use std::{sync::Arc, time::Duration};

use futures::{FutureExt, future::BoxFuture};

pub use jetstream::{JetStreamBus, JetStreamSettings};
pub use local::LocalBus;

use crate::Message;

/// When an event that is given back comes again: not before its consumer is gone, or it would get it once more.
const GIVE_BACK_DELAY: Duration = Duration::from_millis(300);

/// Why the bus did not take an event, or does not deliver.
#[derive(Debug, thiserror::Error)]
#[error("bus: {0}")]
pub struct BusError(pub String);

impl BusError {
    fn new(error: impl std::fmt::Display) -> Self {
        Self(error.to_string())
    }
}

/// Done when the bus has an event for good.
pub type Acknowledged = BoxFuture<'static, Result<(), BusError>>;

/// Where events go and come from.
#[derive(Clone)]
pub enum Bus {
    /// Within the process.
    Local(LocalBus),
    /// NATS JetStream.
    JetStream(Arc<JetStreamBus>),
}

impl Bus {
    /// Hands an event over. The order of calls is the order of delivery; the future tells when the bus has it.
    pub async fn publish(&self, message: Arc<Message>) -> Result<Acknowledged, BusError> {
        match self {
            Self::Local(bus) => bus.publish(message).await,
            Self::JetStream(bus) => bus.publish(&message).await,
        }
    }

    /// The bus for one more publisher, whose events in flight take no place from others.
    pub(crate) fn for_relay(&self) -> Self {
        match self {
            Self::Local(bus) => Self::Local(bus.clone()),
            Self::JetStream(bus) => Self::JetStream(Arc::new(bus.for_relay())),
        }
    }

    /// Whether an acknowledgement may never come. The local bus always answers, if only that a consumer is gone; what is given
    /// up there would be delivered twice.
    pub(crate) fn loses_acknowledgements(&self) -> bool {
        matches!(self, Self::JetStream(_))
    }

    /// Which bus this is for a context's events: another identity has not seen the earlier events.
    pub async fn identity(&self, context: &str) -> Result<Identity, BusError> {
        match self {
            Self::Local(bus) => Ok(bus.identity(context)),
            Self::JetStream(bus) => bus.identity(context).await,
        }
    }

    /// Hears a context's events as `consumer`, from where it stopped.
    pub async fn subscribe(&self, context: &str, consumer: &str) -> Result<Incoming, BusError> {
        match self {
            Self::Local(bus) => Ok(Incoming::Local(bus.subscribe(context, consumer))),
            Self::JetStream(bus) => {
                bus.subscribe(context, consumer).await.map(|incoming| Incoming::JetStream(Box::new(incoming)))
            }
        }
    }

    /// Waits until the broker has what was told to it.
    pub(crate) async fn flush(&self) {
        if let Self::JetStream(bus) = self {
            bus.flush().await;
        }
    }

    /// Events that a consumer has not settled yet, as far as the bus knows.
    pub async fn unsettled(&self, context: &str, consumer: &str) -> Result<u64, BusError> {
        match self {
            // An event counts as published only when every consumer settled it.
            Self::Local(_) => Ok(0),
            Self::JetStream(bus) => bus.unsettled(context, consumer).await,
        }
    }
}

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

/// A subscription's deliveries.
pub enum Incoming {
    /// Of the local bus.
    Local(local::LocalIncoming),
    /// Of JetStream.
    JetStream(Box<jetstream::JetStreamIncoming>),
}

impl Incoming {
    /// Gives back what was delivered and nobody began with. The local bus needs no telling: its publisher notices.
    pub(crate) async fn give_back(&mut self) {
        if matches!(self, Self::JetStream(_)) {
            while let Some(Some(Ok(delivery))) = self.next().now_or_never() {
                delivery.retry(GIVE_BACK_DELAY).await;
            }
        }
    }

    /// The next delivery; an error, or None, ends the subscription, and it is to be made anew.
    pub async fn next(&mut self) -> Option<Result<Delivery, BusError>> {
        match self {
            Self::Local(incoming) => incoming.next().await.map(|delivery| Ok(Delivery::Local(delivery))),
            Self::JetStream(incoming) => incoming.next().await.map(|next| next.map(Delivery::JetStream)),
        }
    }
}

/// An event that waits to be settled. Dropped, it comes again.
pub enum Delivery {
    /// Of the local bus.
    Local(local::LocalDelivery),
    /// Of JetStream.
    JetStream(Box<jetstream::JetStreamDelivery>),
}

impl Delivery {
    /// The event, or why it cannot be read.
    pub fn message(&self) -> Result<Arc<Message>, String> {
        match self {
            Self::Local(delivery) => Ok(delivery.message.clone()),
            Self::JetStream(delivery) => delivery.message.clone(),
        }
    }

    /// How often it has been delivered, this time included.
    pub fn attempt(&self) -> u32 {
        match self {
            Self::Local(delivery) => delivery.attempt,
            Self::JetStream(delivery) => delivery.attempt,
        }
    }

    /// It is applied, or put aside: not again.
    pub async fn settle(self) {
        match self {
            Self::Local(delivery) => delivery.settle(),
            Self::JetStream(delivery) => delivery.settle().await,
        }
    }

    /// It could not be applied now: again after `delay`.
    pub async fn retry(self, delay: Duration) {
        match self {
            Self::Local(delivery) => delivery.retry(delay),
            Self::JetStream(delivery) => delivery.retry(delay).await,
        }
    }
}
