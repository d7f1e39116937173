//! The in-process bus. It stores nothing: an event counts as published when every consumer of the process has settled
//! it, so the durable outbox publishes it again after a crash.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::{mpsc, oneshot};

use jumun_core::{Envelope, task, time::sleep};

use crate::transport::{Acknowledgement, BusError, BusIdentity};

/// Maximum number of waiting deliveries per consumer; beyond it, publishing waits.
const MAX_WAITING_DELIVERIES: usize = 1024;

/// The channels of a context's consumers, by name.
type Subscribers = BTreeMap<String, mpsc::Sender<LocalDelivery>>;

/// Delivers events between the contexts of a process.
#[derive(Clone, Default)]
pub struct LocalBus {
    contexts: Arc<Mutex<BTreeMap<String, Subscribers>>>,
}

impl LocalBus {
    pub(crate) async fn publish(&self, envelope: Arc<Envelope>) -> Result<Acknowledgement, BusError> {
        let mut settlements = Vec::new();
        for channel in self.channels(&envelope.context) {
            let (settled, settlement) = oneshot::channel();
            let delivery = LocalDelivery { envelope: envelope.clone(), attempt: 1, settled, channel: channel.clone() };
            channel.send(delivery).await.map_err(BusError::new)?;
            settlements.push(settlement);
        }
        Ok(Box::pin(async move {
            for settlement in settlements {
                settlement.await.map_err(BusError::new)?;
            }
            Ok(())
        }))
    }

    fn channels(&self, context: &str) -> Vec<mpsc::Sender<LocalDelivery>> {
        let contexts = self.contexts.lock().unwrap_or_else(PoisonError::into_inner);
        contexts.get(context).map(|subscribers| subscribers.values().cloned().collect()).unwrap_or_default()
    }

    /// The identity has the names of the context's consumers, because a new consumer must receive all events.
    pub(crate) fn identity(&self, context: &str) -> BusIdentity {
        let contexts = self.contexts.lock().unwrap_or_else(PoisonError::into_inner);
        let consumers = contexts.get(context).map(|subscribers| subscribers.keys().cloned().collect::<Vec<_>>());
        let names = std::iter::once("local".to_owned()).chain(consumers.unwrap_or_default());
        BusIdentity(names.collect::<Vec<_>>().join(" "))
    }

    pub(crate) fn subscribe(&self, context: &str, consumer: &str) -> LocalIncoming {
        let (channel, deliveries) = mpsc::channel(MAX_WAITING_DELIVERIES);
        let mut contexts = self.contexts.lock().unwrap_or_else(PoisonError::into_inner);
        contexts.entry(context.to_owned()).or_default().insert(consumer.to_owned(), channel);
        LocalIncoming(deliveries)
    }
}

/// The deliveries of one consumer.
pub struct LocalIncoming(mpsc::Receiver<LocalDelivery>);

impl LocalIncoming {
    pub(crate) async fn next(&mut self) -> Option<LocalDelivery> {
        self.0.recv().await
    }
}

/// An event for one consumer.
pub struct LocalDelivery {
    pub(crate) envelope: Arc<Envelope>,
    pub(crate) attempt: u32,
    settled: oneshot::Sender<()>,
    channel: mpsc::Sender<LocalDelivery>,
}

impl LocalDelivery {
    pub(crate) fn settle(self) {
        // If the relay no longer waits, the event is published again, and the inbox skips it.
        let _ = self.settled.send(());
    }

    pub(crate) fn retry(mut self, delay: Duration) {
        self.attempt += 1;
        task::spawn(async move {
            sleep(delay).await;
            let channel = self.channel.clone();
            // A consumer that has ended receives the event after its restart: the event stays in the outbox.
            let _ = channel.send(self).await;
        });
    }
}
