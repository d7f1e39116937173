//! The event bus: `local`, within the process, or `jetstream`.

use std::sync::Arc;

use jumun_core::Time;

use crate::{
    jetstream::JetStreamBus,
    local::{self, LocalBus},
    transport::{BusError, BusIdentity},
};

/// Carries events from the contexts that emit them to the subscriptions.
#[derive(Clone)]
pub enum Bus {
    /// Within the process.
    Local(LocalBus),
    /// NATS JetStream.
    JetStream(Arc<JetStreamBus>),
}

impl Bus {
    /// The identity of the bus for a context's events. A broker with another identity lacks earlier events.
    pub async fn identity(&self, context: &str) -> Result<BusIdentity, BusError> {
        match self {
            Self::Local(_) => Ok(BusIdentity(local::IDENTITY.to_owned())),
            Self::JetStream(bus) => bus.identity(context).await,
        }
    }

    /// When the oldest event that a consumer of this process is applying was emitted; None: all are applied.
    pub fn oldest_event(&self) -> Option<Time> {
        match self {
            Self::Local(bus) => bus.oldest_event(),
            Self::JetStream(_) => None,
        }
    }

    /// Sends buffered acknowledgements to the broker, and waits for that.
    pub async fn flush(&self) {
        if let Self::JetStream(bus) = self {
            bus.flush().await;
        }
    }

    /// The number of events that a consumer has not settled, as far as the bus knows.
    pub async fn unsettled(&self, source: &str, consumer: &str) -> Result<u64, BusError> {
        match self {
            Self::Local(bus) => bus.unsettled(source, consumer).await,
            Self::JetStream(bus) => bus.unsettled(source, consumer).await,
        }
    }
}
