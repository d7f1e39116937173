//! The relay: takes committed events to the bus, in order per aggregate and many at once, and marks them published only
//! when the bus has them.
//!
//! What was just committed comes straight from the writer; the outbox's table is read at the start, after an overflow, and
//! every so often.
//!
//! Whatever the relay waits for (a place in the bus, an acknowledgement, the table, the bus's identity) is a future that its
//! loop polls together with the others: waiting for a place must never stop it from taking the answers that free one.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use engine::{
    Engine, Stored, bus_identity,
    outbox::{self, Batch, Committed, Fresh},
};
use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use jumun_core::{
    Envelope, Error,
    time::{Instant, MissedTickBehavior, interval},
    trace_span,
};
use tracing::Instrument;

use crate::{
    bus::Bus,
    transport::{Acknowledged, BusError, Identity},
};

/// Events that the bus has not acknowledged yet, about; and batches that are under way.
const MAX_IN_FLIGHT: usize = 2048;
/// The table is read only when few events are in flight: those in flight are among what is read.
const MAX_IN_FLIGHT_AT_SCAN: usize = MAX_IN_FLIGHT / 2;
/// How often the table is read when nothing calls for it, and how often the bus is looked at.
const SCAN_INTERVAL: Duration = Duration::from_millis(500);
const IDENTITY_INTERVAL: Duration = Duration::from_secs(2);
/// A relay that has something to publish and gets no acknowledgement for this long is stalled: it reports that, and on a
/// broker drops what is in flight and reads the table again, as often as this passes. Longer than one acknowledgement may
/// take.
const STALL_AFTER: Duration = Duration::from_secs(10);
const STALL_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Takes one context's events to the bus.
pub struct Relay<A: Stored> {
    feed: Arc<Feed<A>>,
    under_way: HashMap<Batch, Flight>,
    acknowledged: Vec<Batch>,
    /// Events in the order in which the bus is to get them.
    waiting: VecDeque<(Batch, Envelope)>,
    /// The one event that is being handed over: the bus may make it wait for a place.
    publishing: Option<BoxFuture<'static, Published>>,
    sending: FuturesUnordered<BoxFuture<'static, (Batch, bool)>>,
    marking: Option<BoxFuture<'static, Vec<Batch>>>,
    scanning: Option<BoxFuture<'static, Scanned>>,
    /// Ends with the bus's identity when it has to be fed from the beginning.
    checking: Option<BoxFuture<'static, Result<Option<Identity>, Error>>>,
    /// Since when something waits for the bus and nothing was acknowledged.
    unanswered_since: Option<Instant>,
    restarted: Instant,
}

/// An event's batch, and what the bus said when it was handed over.
type Published = (Batch, Result<Acknowledged, BusError>, tracing::Span);

/// What was found, and whether nothing was under way when the scan began.
type Scanned = (Result<Vec<Committed>, Error>, bool);

/// How far a batch is.
struct Flight {
    /// Events that the bus has not answered.
    left: usize,
    /// The bus did not take all of them.
    has_failed: bool,
}

impl<A: Stored> Relay<A> {
    /// A relay of the engine's outbox to this bus.
    pub fn new(engine: Engine<A>, bus: &Bus) -> Self {
        Self {
            feed: Arc::new(Feed { engine, bus: bus.for_relay() }),
            under_way: HashMap::new(),
            acknowledged: Vec::new(),
            waiting: VecDeque::new(),
            publishing: None,
            sending: FuturesUnordered::new(),
            marking: None,
            scanning: None,
            checking: None,
            unanswered_since: None,
            restarted: Instant::now(),
        }
    }

    /// Runs until the task is dropped.
    pub async fn run(mut self, mut fresh: Fresh) {
        let mut scan = interval(SCAN_INTERVAL);
        let mut identity = interval(IDENTITY_INTERVAL);
        let mut stall = interval(STALL_CHECK_INTERVAL);
        for ticks in [&mut scan, &mut identity, &mut stall] {
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        }
        loop {
            self.publish();
            let in_flight = (self.sending.len() + self.waiting.len()).max(self.under_way.len());
            let scans = in_flight < MAX_IN_FLIGHT_AT_SCAN && self.scanning.is_none();
            // A batch that comes while the table is read could be struck off there before that is answered, and be sent twice.
            let room = in_flight < MAX_IN_FLIGHT && self.scanning.is_none();
            tokio::select! {
                Some((batch, taken)) = self.sending.next(), if !self.sending.is_empty() => {
                    self.note(batch, taken);
                    while let Some(Some((batch, taken))) = self.sending.next().now_or_never() {
                        self.note(batch, taken);
                    }
                    self.mark();
                }
                published = wait_for(&mut self.publishing) => self.published(published),
                batches = wait_for(&mut self.marking) => {
                    self.marking = None;
                    for batch in batches {
                        self.under_way.remove(&batch);
                    }
                    self.mark();
                }
                found = wait_for(&mut self.scanning) => self.scanned(found),
                checked = wait_for(&mut self.checking) => self.checked(checked).await,
                Some(committed) = fresh.receiver.recv(), if room => self.send(committed),
                () = fresh.overflow.notified(), if scans => self.scan(),
                _ = scan.tick(), if scans => self.scan(),
                _ = identity.tick(), if self.checking.is_none() => {
                    self.checking = Some(Box::pin(self.feed.clone().check()));
                }
                _ = stall.tick() => self.restart_if_stalled().await,
            }
        }
    }

    /// Feeds a bus that is not the one fed before: another set of consumers, or a stream made anew.
    async fn checked(&mut self, checked: Result<Option<Identity>, Error>) {
        self.checking = None;
        let result = async {
            let Some(identity) = checked? else { return Ok(()) };
            tracing::warn!(identity = identity.0, "another bus: feeding it from the beginning");
            // From here on nothing is in flight, so nothing has to be polled meanwhile.
            self.forget_sent().await;
            bus_identity::feed_again(&self.feed.engine).await?;
            bus_identity::remember_identity(&self.feed.engine, identity.0).await
        };
        if let Err(error) = result.await {
            let error: Error = error;
            tracing::warn!(%error, "cannot feed the bus again; tried again soon");
        }
    }

    /// Drops what is in flight. It stays unpublished, so the table says what is to be sent again; what the bus before
    /// acknowledged must not count as published on this one.
    async fn forget_sent(&mut self) {
        self.sending = FuturesUnordered::new();
        self.publishing = None;
        self.scanning = None;
        self.waiting.clear();
        self.acknowledged.clear();
        if let Some(marking) = self.marking.take() {
            marking.await;
        }
        self.under_way.clear();
    }

    /// Queues the events of a batch for the bus.
    fn send(&mut self, Committed { batch, messages }: Committed) {
        if messages.is_empty() || self.under_way.contains_key(&batch) {
            return;
        }
        self.unanswered_since.get_or_insert_with(Instant::now);
        self.under_way.insert(batch.clone(), Flight { left: messages.len(), has_failed: false });
        self.waiting.extend(messages.into_iter().map(|message| (batch.clone(), message)));
    }

    /// Hands events over, one after another, until the bus makes one wait.
    fn publish(&mut self) {
        while self.publishing.is_none() {
            let Some((batch, message)) = self.waiting.pop_front() else { return };
            let mut publishing = self.feed.clone().publish(batch, message).boxed();
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
                        tracing::debug!(%error, "not published; tried again soon");
                    }
                    (batch, result.is_ok())
                };
                self.sending.push(answered.instrument(span).boxed());
            }
            Err(error) => {
                tracing::debug!(%error, "not published; tried again soon");
                self.note(batch, false);
            }
        }
    }

    /// Notes what the bus said to one event. Of a batch that it did not take as a whole, everything is sent once more:
    /// consumers know by its number what they have.
    fn note(&mut self, batch: Batch, taken: bool) {
        if taken {
            self.progressed();
        }
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
            let feed = self.feed.clone();
            self.marking = Some(Box::pin(async move {
                feed.engine.mark_published(&batches).await;
                batches
            }));
        }
    }

    fn scan(&mut self) {
        let under_way: HashSet<_> = self.under_way.keys().cloned().collect();
        let was_idle = under_way.is_empty();
        let feed = self.feed.clone();
        self.scanning =
            Some(Box::pin(async move { (outbox::unpublished(feed.engine.database(), under_way).await, was_idle) }));
    }

    fn scanned(&mut self, (found, was_idle): (Result<Vec<Committed>, Error>, bool)) {
        self.scanning = None;
        match found {
            // What failed while the table was read was not looked for there.
            Ok(batches) if batches.is_empty() && was_idle => self.recovered(None),
            Ok(batches) => batches.into_iter().for_each(|committed| self.send(committed)),
            Err(error) => tracing::warn!(%error, "cannot read the outbox"),
        }
    }

    /// The bus acknowledged an event.
    fn progressed(&mut self) {
        let more = !self.sending.is_empty() || !self.waiting.is_empty() || self.publishing.is_some();
        self.recovered(more.then(Instant::now));
    }

    /// The relay is not stalled; `unanswered_since` is when it last got an answer, if it waits for more.
    fn recovered(&mut self, unanswered_since: Option<Instant>) {
        self.unanswered_since = unanswered_since;
        if let Some(since) = self.feed.engine.stall().set(None) {
            let (context, seconds) = (self.feed.engine.database().schema(), since.elapsed().as_secs());
            tracing::info!(context, seconds, "the relay publishes again");
        }
    }

    /// Reports a relay that makes no progress, and starts it over where what it waits for may never come.
    async fn restart_if_stalled(&mut self) {
        let Some(since) = self.unanswered_since.filter(|since| since.elapsed() >= STALL_AFTER) else { return };
        if self.feed.engine.stall().set(Some(since)).is_none() {
            let (context, seconds) = (self.feed.engine.database().schema(), since.elapsed().as_secs());
            tracing::warn!(context, seconds, "the relay is stalled: events wait and the bus acknowledges none");
        }
        if self.feed.bus.loses_acknowledgements() && self.restarted.elapsed() >= STALL_AFTER {
            self.restarted = Instant::now();
            self.forget_sent().await;
        }
    }
}

/// An outbox and the bus that it feeds.
struct Feed<A: Stored> {
    engine: Engine<A>,
    bus: Bus,
}

impl<A: Stored> Feed<A> {
    /// Hands an event over to the bus, which may make it wait.
    async fn publish(self: Arc<Self>, batch: Batch, message: Envelope) -> Published {
        let span = trace_span!(
            message.traceparent.as_deref(),
            "send",
            otel.name = format!("send {}.{}", message.context, message.kind),
            otel.kind = "producer",
            messaging.system = "nats",
            messaging.message.id = message.id(),
        );
        let result = self.bus.publish(Arc::new(message)).instrument(span.clone()).await;
        (batch, result, span)
    }

    /// The bus, when it has to be fed from the beginning; another one is only remembered.
    async fn check(self: Arc<Self>) -> Result<Option<Identity>, Error> {
        match self.other_bus().await? {
            Some((identity, true)) => Ok(Some(identity)),
            Some((identity, false)) => bus_identity::remember_identity(&self.engine, identity.0).await.map(|()| None),
            None => Ok(None),
        }
    }

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

async fn wait_for<T>(future: &mut Option<BoxFuture<'static, T>>) -> T {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}
