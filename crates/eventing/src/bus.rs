//! The event bus: `local`, within the process, or `jetstream`. Both deliver at least once and, mostly, in order per
//! aggregate; the inbox applies each event once and exactly in order.

use std::{sync::Arc, time::Duration};

use futures::FutureExt;

use jumun_core::Envelope;

use crate::{
    jetstream::{JetStreamBus, JetStreamDelivery, JetStreamIncoming},
    local::{LocalBus, LocalDelivery, LocalIncoming},
    transport::{Acknowledgement, BusError, BusIdentity},
};

/// The redelivery delay of events that a stopping subscription returns: long enough that it has ended by then.
const RETURN_DELAY: Duration = Duration::from_millis(300);

/// Carries events from the outboxes to the subscriptions.
#[derive(Clone)]
pub enum Bus {
    /// Within the process.
    Local(LocalBus),
    /// NATS JetStream.
    JetStream(Arc<JetStreamBus>),
}

impl Bus {
    /// Publishes an event. The order of calls is the order of delivery; the returned future waits for the
    /// acknowledgement.
    pub async fn publish(&self, envelope: Arc<Envelope>) -> Result<Acknowledgement, BusError> {
        match self {
            Self::Local(bus) => bus.publish(envelope).await,
            Self::JetStream(bus) => bus.publish(&envelope).await,
        }
    }

    /// A handle for one relay, with its own limit of unacknowledged events.
    pub(crate) fn for_relay(&self) -> Self {
        match self {
            Self::Local(bus) => Self::Local(bus.clone()),
            Self::JetStream(bus) => Self::JetStream(Arc::new(bus.for_relay())),
        }
    }

    /// Whether acknowledgements may get lost. The local bus always answers, if only that a consumer has ended; to
    /// publish an event again without waiting for its answer would deliver it twice.
    pub(crate) fn loses_acknowledgements(&self) -> bool {
        matches!(self, Self::JetStream(_))
    }

    /// The identity of the bus for a context's events. A bus with another identity lacks earlier events.
    pub async fn identity(&self, context: &str) -> Result<BusIdentity, BusError> {
        match self {
            Self::Local(bus) => Ok(bus.identity(context)),
            Self::JetStream(bus) => bus.identity(context).await,
        }
    }

    /// Receives a context's events as `consumer`, from where that consumer stopped.
    pub async fn subscribe(&self, context: &str, consumer: &str) -> Result<Incoming, BusError> {
        match self {
            Self::Local(bus) => Ok(Incoming::Local(bus.subscribe(context, consumer))),
            Self::JetStream(bus) => {
                bus.subscribe(context, consumer).await.map(|incoming| Incoming::JetStream(Box::new(incoming)))
            }
        }
    }

    /// Sends buffered acknowledgements to the broker, and waits for that.
    pub async fn flush(&self) {
        if let Self::JetStream(bus) = self {
            bus.flush().await;
        }
    }

    /// The number of events that a consumer has not settled, as far as the bus knows.
    pub async fn unsettled(&self, context: &str, consumer: &str) -> Result<u64, BusError> {
        match self {
            // Unsettled events are still in the outbox: they count as published when every consumer has settled them.
            Self::Local(_) => Ok(0),
            Self::JetStream(bus) => bus.unsettled(context, consumer).await,
        }
    }
}

/// A subscription's deliveries.
pub enum Incoming {
    /// From the local bus.
    Local(LocalIncoming),
    /// From JetStream.
    JetStream(Box<JetStreamIncoming>),
}

impl Incoming {
    /// Returns deliveries that were not started. The local bus needs no notice: its publisher sees the closed channel.
    pub(crate) async fn return_unstarted(&mut self) {
        if matches!(self, Self::JetStream(_)) {
            while let Some(Some(Ok(delivery))) = self.next().now_or_never() {
                delivery.retry(RETURN_DELAY).await;
            }
        }
    }

    /// The next delivery. After an error or None the caller must subscribe again.
    pub async fn next(&mut self) -> Option<Result<Delivery, BusError>> {
        match self {
            Self::Local(incoming) => incoming.next().await.map(|delivery| Ok(Delivery::Local(delivery))),
            Self::JetStream(incoming) => incoming.next().await.map(|next| next.map(Delivery::JetStream)),
        }
    }
}

/// An event to settle. If it is dropped, the bus delivers it again.
pub enum Delivery {
    /// From the local bus.
    Local(LocalDelivery),
    /// From JetStream.
    JetStream(Box<JetStreamDelivery>),
}

impl Delivery {
    /// The event, or why it cannot be read.
    pub fn envelope(&self) -> Result<Arc<Envelope>, String> {
        match self {
            Self::Local(delivery) => Ok(delivery.envelope.clone()),
            Self::JetStream(delivery) => delivery.envelope.clone(),
        }
    }

    /// The number of deliveries of this event, including this one.
    pub fn attempt(&self) -> u32 {
        match self {
            Self::Local(delivery) => delivery.attempt,
            Self::JetStream(delivery) => delivery.attempt,
        }
    }

    /// Acknowledges the event: it was applied, or became a dead letter.
    pub async fn settle(self) {
        match self {
            Self::Local(delivery) => delivery.settle(),
            Self::JetStream(delivery) => delivery.settle().await,
        }
    }

    /// Requests redelivery after `delay`: the event could not be applied now.
    pub async fn retry(self, delay: Duration) {
        match self {
            Self::Local(delivery) => delivery.retry(delay),
            Self::JetStream(delivery) => delivery.retry(delay).await,
        }
    }
}
