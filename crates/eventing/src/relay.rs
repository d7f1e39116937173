//! The outbox relay: publishes committed events on the bus, in order per aggregate and many at once, and deletes their
//! outbox entries once the bus has acknowledged them.
//!
//! The writer hands newly committed events over directly; the outbox table is read at the start, after an overflow, and
//! periodically. While the table has older events, newer ones are not published: a consumer applies the events of an
//! aggregate in order, and would wait for ever if more of them than it may hold came before their predecessors.
//!
//! Everything that the relay waits for (a free slot on the bus, an acknowledgement, the table, the bus's identity) is a
//! future that its loop polls together with the others: waiting for a slot must never stop the acknowledgements that
//! free one.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use engine::{
    Engine, Stored, bus_identity,
    outbox::{self, BatchId, CommittedEvents, CommittedReceiver, Unpublished},
};
use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use jumun_core::{
    Envelope, Error,
    time::{Instant, MissedTickBehavior, interval},
    trace_span,
};
use tracing::Instrument;

use crate::{
    jetstream::JetStreamBus,
    transport::{Acknowledgement, BusError, BusIdentity},
};

/// Approximate maximum of unacknowledged events, and of batches in flight.
const MAX_IN_FLIGHT: usize = 2048;
/// The table is read only if few events are in flight, because a scan also reads the entries in flight.
const MAX_IN_FLIGHT_AT_SCAN: usize = MAX_IN_FLIGHT / 2;
/// How often the table is read without a trigger, and how often the identity of the bus is checked.
const SCAN_INTERVAL: Duration = Duration::from_millis(500);
const IDENTITY_INTERVAL: Duration = Duration::from_secs(2);
/// A relay that has events to publish and gets no acknowledgement for this long is stalled: it reports that,
/// drops what is in flight and reads the table again, once per interval. Longer than the timeout of an acknowledgement.
const STALL_AFTER: Duration = Duration::from_secs(10);
const STALL_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Publishes the events of one context on the bus.
pub struct Relay<A: Stored> {
    link: Arc<Link<A>>,
    in_flight: HashMap<BatchId, BatchProgress>,
    acknowledged: Vec<BatchId>,
    /// Events, in the order in which they are published.
    waiting: VecDeque<(BatchId, Envelope)>,
    /// The one event that is being published: the bus may make it wait for a slot.
    publishing: Option<BoxFuture<'static, Published>>,
    sending: FuturesUnordered<BoxFuture<'static, (BatchId, bool)>>,
    marking: Option<BoxFuture<'static, Vec<BatchId>>>,
    /// Resolves to the batches found, and to whether nothing was in flight when the scan started.
    scanning: Option<BoxFuture<'static, Scanned>>,
    /// Whether the table has events that neither the channel nor the running scan contains. They come first.
    is_behind: bool,
    /// Whether to read the table again at once.
    rescan: bool,
    /// Resolves to the identity of the bus if all events must be published again.
    checking: Option<BoxFuture<'static, Result<Option<BusIdentity>, Error>>>,
    /// Since when events wait for the bus and none was acknowledged.
    unanswered_since: Option<Instant>,
    restarted: Instant,
}

/// The batch of an event, and the result of publishing it.
type Published = (BatchId, Result<Acknowledgement, BusError>, tracing::Span);

/// The result of a scan, and whether nothing was in flight when it started.
type Scanned = (Result<Unpublished, Error>, bool);

/// The progress of a batch in flight.
struct BatchProgress {
    /// The number of events that the bus has not answered.
    left: usize,
    /// Whether the bus did not accept one of its events.
    has_failed: bool,
}

impl<A: Stored> Relay<A> {
    /// A relay from the engine's outbox to this bus.
    pub fn new(engine: Engine<A>, bus: &JetStreamBus) -> Self {
        Self {
            link: Arc::new(Link { engine, bus: bus.for_relay() }),
            in_flight: HashMap::new(),
            acknowledged: Vec::new(),
            waiting: VecDeque::new(),
            publishing: None,
            sending: FuturesUnordered::new(),
            marking: None,
            scanning: None,
            is_behind: true,
            rescan: true,
            checking: None,
            unanswered_since: None,
            restarted: Instant::now(),
        }
    }

    /// Runs until the future is dropped.
    pub async fn run(mut self, mut committed: CommittedReceiver) {
        let mut scan = interval(SCAN_INTERVAL);
        let mut identity = interval(IDENTITY_INTERVAL);
        let mut stall = interval(STALL_CHECK_INTERVAL);
        for ticks in [&mut scan, &mut identity, &mut stall] {
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        }
        loop {
            self.publish();
            let pending = (self.sending.len() + self.waiting.len()).max(self.in_flight.len());
            let scans = pending < MAX_IN_FLIGHT_AT_SCAN && self.scanning.is_none();
            // A batch that is received during a scan could be published and deleted before the scan returns it, and
            // then be published twice.
            let room = pending < MAX_IN_FLIGHT && self.scanning.is_none() && !self.is_behind;
            if scans && self.rescan {
                self.scan(&mut committed);
                continue;
            }
            tokio::select! {
                Some((batch, accepted)) = self.sending.next(), if !self.sending.is_empty() => {
                    self.record_answer(batch, accepted);
                    while let Some(Some((batch, accepted))) = self.sending.next().now_or_never() {
                        self.record_answer(batch, accepted);
                    }
                    self.mark();
                }
                published = wait_for(&mut self.publishing) => self.published(published),
                batches = wait_for(&mut self.marking) => {
                    self.marking = None;
                    for batch in batches {
                        self.in_flight.remove(&batch);
                    }
                    self.mark();
                }
                found = wait_for(&mut self.scanning) => self.scanned(found),
                checked = wait_for(&mut self.checking) => self.checked(checked).await,
                Some(events) = committed.receiver.recv(), if room => self.enqueue(events),
                () = committed.overflow.notified() => (self.is_behind, self.rescan) = (true, true),
                _ = scan.tick(), if scans => self.scan(&mut committed),
                _ = identity.tick(), if self.checking.is_none() => {
                    self.checking = Some(Box::pin(self.link.clone().check()));
                }
                _ = stall.tick() => self.restart_if_stalled().await,
            }
        }
    }

    /// Publishes all events again if the bus has changed: another set of consumers, or a recreated stream.
    async fn checked(&mut self, checked: Result<Option<BusIdentity>, Error>) {
        self.checking = None;
        let result = async {
            let Some(identity) = checked? else { return Ok(()) };
            tracing::warn!(identity = identity.0, "the bus has changed; publishing all events again");
            // From here on nothing is in flight, so nothing else has to be polled.
            self.drop_in_flight().await;
            bus_identity::republish_all(&self.link.engine).await?;
            bus_identity::save_identity(&self.link.engine, identity.0).await
        };
        if let Err(error) = result.await {
            let error: Error = error;
            tracing::warn!(%error, "cannot publish all events again; retrying soon");
        }
    }

    /// Drops everything in flight. Its outbox entries stay, so it is published again; acknowledgements of the previous
    /// bus must not count for this one.
    async fn drop_in_flight(&mut self) {
        self.sending = FuturesUnordered::new();
        self.publishing = None;
        self.scanning = None;
        self.is_behind = true;
        self.waiting.clear();
        self.acknowledged.clear();
        if let Some(marking) = self.marking.take() {
            marking.await;
        }
        self.in_flight.clear();
    }

    /// Queues the events of a batch for publishing.
    fn enqueue(&mut self, CommittedEvents { batch, events }: CommittedEvents) {
        if events.is_empty() || self.in_flight.contains_key(&batch) {
            return;
        }
        self.unanswered_since.get_or_insert_with(Instant::now);
        self.in_flight.insert(batch.clone(), BatchProgress { left: events.len(), has_failed: false });
        self.waiting.extend(events.into_iter().map(|envelope| (batch.clone(), envelope)));
    }

    /// Publishes queued events, one after another, until the bus makes one wait.
    fn publish(&mut self) {
        while self.publishing.is_none() {
            let Some((batch, envelope)) = self.waiting.pop_front() else { return };
            let mut publishing = self.link.clone().publish(batch, envelope).boxed();
            match (&mut publishing).now_or_never() {
                Some(published) => self.published(published),
                None => self.publishing = Some(publishing),
            }
        }
    }

    fn published(&mut self, (batch, result, span): Published) {
        self.publishing = None;
        match result {
            Ok(acknowledged) => {
                let answered = async move {
                    let result = acknowledged.await;
                    if let Err(error) = &result {
                        tracing::debug!(%error, "not published; retrying soon");
                    }
                    (batch, result.is_ok())
                };
                self.sending.push(answered.instrument(span).boxed());
            }
            Err(error) => {
                tracing::debug!(%error, "not published; retrying soon");
                self.record_answer(batch, false);
            }
        }
    }

    /// Records the bus's answer to one event. If the bus did not accept the whole batch, all of it is published again,
    /// and the inbox skips duplicates.
    fn record_answer(&mut self, batch: BatchId, accepted: bool) {
        if accepted {
            self.progressed();
        }
        let Some(progress) = self.in_flight.get_mut(&batch) else { return };
        progress.left -= 1;
        progress.has_failed |= !accepted;
        match progress {
            BatchProgress { left: 0, has_failed: true } => {
                self.in_flight.remove(&batch);
                self.is_behind = true;
            }
            BatchProgress { left: 0, has_failed: false } => self.acknowledged.push(batch),
            BatchProgress { .. } => {}
        }
    }

    /// Deletes the outbox entries of acknowledged batches; those that are acknowledged meanwhile follow in the next
    /// transaction.
    fn mark(&mut self) {
        if self.marking.is_none() && !self.acknowledged.is_empty() {
            let batches = std::mem::take(&mut self.acknowledged);
            let link = self.link.clone();
            self.marking = Some(Box::pin(async move {
                link.engine.mark_published(&batches).await;
                batches
            }));
        }
    }

    fn scan(&mut self, committed: &mut CommittedReceiver) {
        if self.is_behind {
            // The table has these, too, and older ones.
            while committed.receiver.try_recv().is_ok() {}
        }
        (self.is_behind, self.rescan) = (false, false);
        let in_flight: HashSet<_> = self.in_flight.keys().cloned().collect();
        let was_idle = in_flight.is_empty();
        let link = self.link.clone();
        self.scanning =
            Some(Box::pin(async move { (outbox::unpublished(link.engine.database(), in_flight).await, was_idle) }));
    }

    fn scanned(&mut self, (found, was_idle): Scanned) {
        self.scanning = None;
        match found {
            // The scan excluded the batches in flight, some of which may have failed meanwhile.
            Ok(found) if found.batches.is_empty() && was_idle => self.recovered(None),
            Ok(Unpublished { batches, is_complete }) => {
                batches.into_iter().for_each(|committed| self.enqueue(committed));
                if !is_complete {
                    (self.is_behind, self.rescan) = (true, true);
                }
            }
            Err(error) => {
                tracing::warn!(%error, "cannot read the outbox");
                self.is_behind = true;
            }
        }
    }

    /// The bus acknowledged an event.
    fn progressed(&mut self) {
        let more = !self.sending.is_empty() || !self.waiting.is_empty() || self.publishing.is_some();
        self.recovered(more.then(Instant::now));
    }

    /// Ends a stall; `unanswered_since` is the time of the last answer if more events wait.
    fn recovered(&mut self, unanswered_since: Option<Instant>) {
        self.unanswered_since = unanswered_since;
        if let Some(since) = self.link.engine.stall().set(None) {
            let (context, seconds) = (self.link.engine.database().schema(), since.elapsed().as_secs());
            tracing::info!(context, seconds, "the relay publishes again");
        }
    }

    /// Reports a relay that makes no progress, and drops what is in flight: acknowledgements may have been lost.
    async fn restart_if_stalled(&mut self) {
        let Some(since) = self.unanswered_since.filter(|since| since.elapsed() >= STALL_AFTER) else { return };
        if self.link.engine.stall().set(Some(since)).is_none() {
            let (context, seconds) = (self.link.engine.database().schema(), since.elapsed().as_secs());
            tracing::warn!(context, seconds, "the relay is stalled: events wait and the bus acknowledges none");
        }
        if self.restarted.elapsed() >= STALL_AFTER {
            self.restarted = Instant::now();
            self.drop_in_flight().await;
        }
    }
}

/// An outbox, and the bus that its events are published on.
struct Link<A: Stored> {
    engine: Engine<A>,
    bus: JetStreamBus,
}

impl<A: Stored> Link<A> {
    /// Publishes an event; the bus may make it wait.
    async fn publish(self: Arc<Self>, batch: BatchId, envelope: Envelope) -> Published {
        let span = trace_span!(
            envelope.traceparent.as_deref(),
            "send",
            otel.name = format!("send {}.{}", envelope.context, envelope.kind),
            otel.kind = "producer",
            messaging.system = "nats",
            messaging.message.id = envelope.id(),
        );
        let result = self.bus.publish(&envelope).instrument(span.clone()).await;
        (batch, result, span)
    }

    /// The identity of the bus if all events must be published again. A change that needs nothing is only stored.
    async fn check(self: Arc<Self>) -> Result<Option<BusIdentity>, Error> {
        match self.changed_identity().await? {
            Some((identity, true)) => Ok(Some(identity)),
            Some((identity, false)) => bus_identity::save_identity(&self.engine, identity.0).await.map(|()| None),
            None => Ok(None),
        }
    }

    /// The identity of the bus if it has changed, and whether the new bus lacks earlier events.
    async fn changed_identity(&self) -> Result<Option<(BusIdentity, bool)>, Error> {
        let context = self.engine.database().schema();
        let identity = match self.bus.identity(context).await {
            Ok(identity) => identity,
            Err(error) => {
                tracing::debug!(%error, "the bus does not answer");
                return Ok(None);
            }
        };
        let before = bus_identity::stored_identity(self.engine.database()).await?;
        if before.as_deref() == Some(&identity.0) {
            return Ok(None);
        }
        // Before the first bus nothing was published, so nothing has to be published again.
        let is_behind = before.is_some_and(|before| !identity.is_covered_by(&before));
        Ok(Some((identity, is_behind)))
    }
}

async fn wait_for<T>(future: &mut Option<BoxFuture<'static, T>>) -> T {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}
