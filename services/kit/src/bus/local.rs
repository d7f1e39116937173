//! The embedded bus. It keeps nothing: an event counts as published when every consumer of the process settled it, so
//! the outbox, which is durable, feeds it again after a crash.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::{mpsc, oneshot};

use super::{Acknowledged, BusError, Identity};
use crate::Message;

/// Deliveries that wait for one consumer at most; publishing waits beyond.
const MAX_WAITING: usize = 1024;

/// A context's consumers, by name.
type Subscribers = BTreeMap<String, mpsc::Sender<LocalDelivery>>;

/// Hands events from the contexts of a process to each other.
#[derive(Clone, Default)]
pub struct LocalBus {
    contexts: Arc<Mutex<BTreeMap<String, Subscribers>>>,
}

impl LocalBus {
    pub(super) async fn publish(&self, message: Arc<Message>) -> Result<Acknowledged, BusError> {
        let mut settled = Vec::new();
        for line in self.lines(&message.context) {
            let (done, when_done) = oneshot::channel();
            let delivery = LocalDelivery { message: message.clone(), attempt: 1, done, line: line.clone() };
            line.send(delivery).await.map_err(BusError::new)?;
            settled.push(when_done);
        }
        Ok(Box::pin(async move {
            for when_done in settled {
                when_done.await.map_err(BusError::new)?;
            }
            Ok(())
        }))
    }

    fn lines(&self, context: &str) -> Vec<mpsc::Sender<LocalDelivery>> {
        let contexts = self.contexts.lock().unwrap_or_else(PoisonError::into_inner);
        contexts.get(context).map(|subscribers| subscribers.values().cloned().collect()).unwrap_or_default()
    }

    /// The names of a context's consumers: one that was not there before has to hear everything.
    pub(super) fn identity(&self, context: &str) -> Identity {
        let contexts = self.contexts.lock().unwrap_or_else(PoisonError::into_inner);
        let consumers = contexts.get(context).map(|subscribers| subscribers.keys().cloned().collect::<Vec<_>>());
        let names = std::iter::once("local".to_owned()).chain(consumers.unwrap_or_default());
        Identity(names.collect::<Vec<_>>().join(" "))
    }

    pub(super) fn subscribe(&self, context: &str, consumer: &str) -> LocalIncoming {
        let (line, deliveries) = mpsc::channel(MAX_WAITING);
        let mut contexts = self.contexts.lock().unwrap_or_else(PoisonError::into_inner);
        contexts.entry(context.to_owned()).or_default().insert(consumer.to_owned(), line);
        LocalIncoming(deliveries)
    }
}

/// What one consumer hears.
pub struct LocalIncoming(mpsc::Receiver<LocalDelivery>);

impl LocalIncoming {
    pub(super) async fn next(&mut self) -> Option<LocalDelivery> {
        self.0.recv().await
    }
}

/// An event for one consumer.
pub struct LocalDelivery {
    pub(super) message: Arc<Message>,
    pub(super) attempt: u32,
    done: oneshot::Sender<()>,
    line: mpsc::Sender<LocalDelivery>,
}

impl LocalDelivery {
    pub(super) fn settle(self) {
        // Without a relay that waits, the event is published again, and known by its number.
        let _ = self.done.send(());
    }

    pub(super) fn retry(mut self, delay: Duration) {
        self.attempt += 1;
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            let line = self.line.clone();
            // A consumer that ended hears it when it is back: the event stays unpublished.
            let _ = line.send(self).await;
        });
    }
}
