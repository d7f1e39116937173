//! The relay: takes committed events to the bus, in order per aggregate and many at once, and marks them published only
//! when the bus has them.
//!
//! The queue is a table of what is unpublished, not a cursor: what is committed late is never skipped. It has a row for each
//! transaction that announced something, because a row for each event would cost as much as the event. What was just
//! committed comes straight from the writer; the table is read at the start, after an overflow, and every so often.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tracing::Instrument;

use engine::{
    Engine, Stored, bus_identity,
    outbox::{self, Batch, Committed, Fresh},
};
use jumun_core::{
    Error,
    time::{MissedTickBehavior, interval},
    trace_span,
};

use crate::{bus::Bus, transport::Identity};

/// Events that the bus has not acknowledged yet, about; and batches that are under way.
const MAX_IN_FLIGHT: usize = 2048;
/// The table is read only when few events are in flight: those in flight are among what is read.
const MAX_IN_FLIGHT_AT_SCAN: usize = MAX_IN_FLIGHT / 2;
/// How often the table is read when nothing calls for it, and how often the bus is looked at.
const SCAN_INTERVAL: Duration = Duration::from_millis(500);
const IDENTITY_INTERVAL: Duration = Duration::from_secs(2);

/// Takes one context's events to the bus.
pub struct Relay<A: Stored> {
    feed: Feed<A>,
    under_way: HashMap<Batch, Flight>,
    acknowledged: Vec<Batch>,
    sending: FuturesUnordered<BoxFuture<'static, (Batch, bool)>>,
    marking: Option<BoxFuture<'static, Vec<Batch>>>,
}

/// How far a batch is.
struct Flight {
    /// Events that the bus has not answered.
    left: usize,
    /// The bus did not take all of them.
    has_failed: bool,
}

impl<A: Stored> Relay<A> {
    pub fn new(engine: Engine<A>, bus: Bus) -> Self {
        Self {
            feed: Feed { engine, bus },
            under_way: HashMap::new(),
            acknowledged: Vec::new(),
            sending: FuturesUnordered::new(),
            marking: None,
        }
    }

    /// Runs until the task is dropped.
    pub async fn run(mut self, mut fresh: Fresh) {
        let mut scan = interval(SCAN_INTERVAL);
        let mut identity = interval(IDENTITY_INTERVAL);
        scan.set_missed_tick_behavior(MissedTickBehavior::Delay);
        identity.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let in_flight = self.sending.len().max(self.under_way.len());
            let (room, scans) = (in_flight < MAX_IN_FLIGHT, in_flight < MAX_IN_FLIGHT_AT_SCAN);
            tokio::select! {
                Some((batch, taken)) = self.sending.next(), if !self.sending.is_empty() => {
                    self.note(batch, taken);
                    while let Some(Some((batch, taken))) = self.sending.next().now_or_never() {
                        self.note(batch, taken);
                    }
                    self.mark();
                }
                batches = wait_for(&mut self.marking) => {
                    self.marking = None;
                    for batch in batches {
                        self.under_way.remove(&batch);
                    }
                    self.mark();
                }
                Some(committed) = fresh.receiver.recv(), if room => self.send(committed).await,
                () = fresh.overflow.notified(), if scans => self.scan().await,
                _ = scan.tick(), if scans => self.scan().await,
                _ = identity.tick() => self.check_identity().await,
            }
        }
    }

    /// Feeds a bus that is not the one fed before: another set of consumers, or a stream made anew.
    async fn check_identity(&mut self) {
        let result = async {
            let Some((identity, is_behind)) = self.feed.other_bus().await? else { return Ok(()) };
            if is_behind {
                tracing::warn!(identity = identity.0, "another bus: feeding it from the beginning");
                self.forget_sent().await;
                bus_identity::feed_again(&self.feed.engine).await?;
            }
            bus_identity::remember_identity(&self.feed.engine, identity.0).await
        };
        if let Err(error) = result.await {
            let error: Error = error;
            tracing::warn!(%error, "cannot feed the bus again; tried again soon");
        }
    }

    /// What the bus before acknowledged must not count as published on this one.
    async fn forget_sent(&mut self) {
        self.sending = FuturesUnordered::new();
        self.acknowledged.clear();
        if let Some(marking) = self.marking.take() {
            marking.await;
        }
        self.under_way.clear();
    }

    async fn send(&mut self, Committed { batch, messages }: Committed) {
        if messages.is_empty() || self.under_way.contains_key(&batch) {
            return;
        }
        self.under_way.insert(batch.clone(), Flight { left: messages.len(), has_failed: false });
        for message in messages {
            let span = trace_span!(
                message.traceparent.as_deref(),
                "send",
                otel.name = format!("send {}.{}", message.context, message.kind),
                otel.kind = "producer",
                messaging.system = "nats",
                messaging.message.id = message.id(),
            );
            match self.feed.bus.publish(Arc::new(message)).instrument(span.clone()).await {
                Ok(acknowledged) => {
                    let batch = batch.clone();
                    let answered = async move {
                        let result = acknowledged.await;
                        if let Err(error) = &result {
                            tracing::debug!(%error, "not published; tried again soon");
                        }
                        (batch, result.is_ok())
                    };
                    self.sending.push(answered.instrument(span).boxed());
                }
                Err(error) => {
                    tracing::debug!(%error, "not published; tried again soon");
                    self.note(batch.clone(), false);
                }
            }
        }
    }

    /// Notes what the bus said to one event. Of a batch that it did not take as a whole, everything is sent once more:
    /// consumers know by its number what they have.
    fn note(&mut self, batch: Batch, taken: bool) {
        let Some(flight) = self.under_way.get_mut(&batch) else { return };
        flight.left -= 1;
        flight.has_failed |= !taken;
        match flight {
            Flight { left: 0, has_failed: true } => drop(self.under_way.remove(&batch)),
            Flight { left: 0, has_failed: false } => self.acknowledged.push(batch),
            Flight { .. } => {}
        }
    }

    /// Strikes off what the bus acknowledged; while that is being written, more gathers for the next time.
    fn mark(&mut self) {
        if self.marking.is_none() && !self.acknowledged.is_empty() {
            let batches = std::mem::take(&mut self.acknowledged);
            let engine = self.feed.engine.clone();
            self.marking = Some(Box::pin(async move {
                engine.mark_published(&batches).await;
                batches
            }));
        }
    }

    async fn scan(&mut self) {
        let under_way = self.under_way.keys().cloned().collect();
        match outbox::unpublished(self.feed.engine.database(), under_way).await {
            Ok(batches) => {
                for committed in batches {
                    self.send(committed).await;
                }
            }
            Err(error) => tracing::warn!(%error, "cannot read the outbox"),
        }
    }
}

/// An outbox and the bus that it feeds.
struct Feed<A: Stored> {
    engine: Engine<A>,
    bus: Bus,
}

impl<A: Stored> Feed<A> {
    /// The bus, when it is not the one that was fed before, and whether that one had less to hear.
    async fn other_bus(&self) -> Result<Option<(Identity, bool)>, Error> {
        let context = self.engine.database().schema();
        let identity = match self.bus.identity(context).await {
            Ok(identity) => identity,
            Err(error) => {
                tracing::debug!(%error, "the bus does not answer");
                return Ok(None);
            }
        };
        let before = bus_identity::fed_identity(self.engine.database()).await?;
        if before.as_deref() == Some(&identity.0) {
            return Ok(None);
        }
        // Nothing was published before the first bus, so there is nothing to feed again.
        let is_behind = before.is_some_and(|before| !identity.is_covered_by(&before));
        Ok(Some((identity, is_behind)))
    }

}

async fn wait_for(marking: &mut Option<BoxFuture<'static, Vec<Batch>>>) -> Vec<Batch> {
    match marking {
        Some(marking) => marking.await,
        None => std::future::pending().await,
    }
}

