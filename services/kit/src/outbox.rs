//! The relay: takes committed events to the bus, in order per aggregate and many at once, and marks them published only
//! when the bus has them.
//!
//! The queue is a table of what is unpublished, not a cursor: rows that are committed late are never skipped. What was just
//! committed comes straight from the writer; the table is read at the start, after an overflow, and every so often.

use std::{collections::HashSet, sync::Arc, time::Duration};

use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::{
    sync::{Notify, mpsc},
    time::MissedTickBehavior,
};
use tracing::Instrument;

use crate::{
    Error, Message, Stored, Time,
    bus::{Bus, Identity},
    engine::{Engine, Outgoing},
    storage::{Database, Row, StorageError, Value},
    trace_span,
};

/// Events that the bus has not acknowledged yet.
const MAX_IN_FLIGHT: usize = 2048;
/// Rows read at once. Those in flight are among them, so the table is read only when these are few.
const SCAN_BATCH: usize = MAX_IN_FLIGHT;
const MAX_IN_FLIGHT_AT_SCAN: usize = MAX_IN_FLIGHT / 2;
/// How often the table is read when nothing calls for it, and how often the bus is looked at.
const SCAN_INTERVAL: Duration = Duration::from_millis(500);
const IDENTITY_INTERVAL: Duration = Duration::from_secs(2);
/// Rows, about, that are made unpublished in one transaction when a bus is fed again.
const REFEED_BATCH: usize = 20_000;
/// Batches that may wait for the relay before it has to read the table.
const MAX_FRESH: usize = 64;

/// The two ends between a writer and its relay.
pub(crate) fn channel() -> (Outgoing, Fresh) {
    let (sender, receiver) = mpsc::channel(MAX_FRESH);
    let overflow = Arc::new(Notify::new());
    (Outgoing { fresh: sender, overflow: overflow.clone() }, Fresh { receiver, overflow })
}

/// What the writer just committed.
pub(crate) struct Fresh {
    receiver: mpsc::Receiver<Vec<Message>>,
    overflow: Arc<Notify>,
}

type Key = (String, i64);

/// Takes one context's events to the bus.
pub(crate) struct Relay<A: Stored> {
    feed: Feed<A>,
    in_flight: HashSet<Key>,
    acknowledged: Vec<Key>,
    sending: FuturesUnordered<BoxFuture<'static, (Key, bool)>>,
    marking: Option<BoxFuture<'static, Vec<Key>>>,
}

impl<A: Stored> Relay<A> {
    pub(crate) fn new(engine: Engine<A>, bus: Bus) -> Self {
        Self {
            feed: Feed { engine, bus },
            in_flight: HashSet::new(),
            acknowledged: Vec::new(),
            sending: FuturesUnordered::new(),
            marking: None,
        }
    }

    /// Runs until the task is dropped.
    pub(crate) async fn run(mut self, mut fresh: Fresh) {
        let mut scan = tokio::time::interval(SCAN_INTERVAL);
        let mut identity = tokio::time::interval(IDENTITY_INTERVAL);
        scan.set_missed_tick_behavior(MissedTickBehavior::Delay);
        identity.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let room = self.in_flight.len() < MAX_IN_FLIGHT;
            let scans = self.in_flight.len() < MAX_IN_FLIGHT_AT_SCAN;
            tokio::select! {
                Some((key, taken)) = self.sending.next(), if !self.sending.is_empty() => {
                    self.note(key, taken);
                    while let Some(Some((key, taken))) = self.sending.next().now_or_never() {
                        self.note(key, taken);
                    }
                    self.mark();
                }
                keys = wait_for(&mut self.marking) => {
                    self.marking = None;
                    for key in keys {
                        self.in_flight.remove(&key);
                    }
                    self.mark();
                }
                Some(messages) = fresh.receiver.recv(), if room => self.send(messages).await,
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
                self.feed.refeed().await?;
            }
            self.feed.remember(identity.0).await
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
        self.in_flight.clear();
    }

    async fn send(&mut self, messages: Vec<Message>) {
        for message in messages {
            let key = (message.aggregate.clone(), message.number);
            if !self.in_flight.insert(key.clone()) {
                continue;
            }
            let span = trace_span!(
                message.traceparent.as_deref(),
                "send",
                otel.name = format!("send {}.{}", message.context, message.kind),
                otel.kind = "producer",
                messaging.system = "nats",
                messaging.message.id = message.id(),
            );
            match self.feed.bus.publish(Arc::new(message)).instrument(span.clone()).await {
                Ok(acknowledged) => self.sending.push(
                    async move {
                        let result = acknowledged.await;
                        if let Err(error) = &result {
                            tracing::debug!(%error, "not published; tried again soon");
                        }
                        (key, result.is_ok())
                    }
                    .instrument(span)
                    .boxed(),
                ),
                Err(error) => {
                    tracing::debug!(%error, "not published; tried again soon");
                    self.in_flight.remove(&key);
                }
            }
        }
    }

    fn note(&mut self, key: Key, taken: bool) {
        if taken {
            self.acknowledged.push(key);
        } else {
            self.in_flight.remove(&key);
        }
    }

    /// Marks what the bus acknowledged; while that is being written, more gathers for the next time.
    fn mark(&mut self) {
        if self.marking.is_none() && !self.acknowledged.is_empty() {
            let keys = std::mem::take(&mut self.acknowledged);
            let shared = self.feed.engine.shared().clone();
            self.marking = Some(Box::pin(async move {
                shared.queue.mark_published(keys.clone()).await;
                keys
            }));
        }
    }

    async fn scan(&mut self) {
        match unpublished(self.feed.engine.database()).await {
            Ok(messages) => self.send(messages).await,
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
        let before = fed_identity(self.engine.database()).await?;
        if before.as_deref() == Some(&identity.0) {
            return Ok(None);
        }
        // Nothing was published before the first bus, so there is nothing to feed again.
        let is_behind = before.is_some_and(|before| !identity.is_covered_by(&before));
        Ok(Some((identity, is_behind)))
    }

    /// Makes every event unpublished again, one range of aggregates after another.
    async fn refeed(&self) -> Result<(), Error> {
        let mut after = Some(String::new());
        while let Some(from) = after {
            after = self.range_end(from.clone()).await?;
            let upto = after.clone().map_or_else(|| "1 = 1".to_owned(), |_| "aggregate <= ?".to_owned());
            let binds = std::iter::once(from).chain(after.clone()).map(Value::from).collect();
            let sql = format!(
                "INSERT INTO unpublished SELECT aggregate, number FROM events WHERE aggregate > ? AND {upto} \
                 ON CONFLICT DO NOTHING"
            );
            self.maintain(sql, binds).await?;
        }
        Ok(())
    }

    /// The aggregate that ends the range of events after `from`; None when all of them are in it.
    async fn range_end(&self, from: String) -> Result<Option<String>, Error> {
        let sql = format!(
            "SELECT aggregate FROM events WHERE aggregate > ? ORDER BY aggregate LIMIT 1 OFFSET {REFEED_BATCH}"
        );
        let read = self.engine.database().read(move |connection| {
            connection.query(&sql, &[from.as_str().into()])?.pop().map(|mut row| row.text()).transpose()
        });
        read.await
    }

    async fn remember(&self, identity: String) -> Result<(), Error> {
        self.maintain(
            "INSERT INTO bus_identity (id, identity) VALUES ('bus', ?) \
             ON CONFLICT (id) DO UPDATE SET identity = excluded.identity"
                .to_owned(),
            vec![identity.into()],
        )
        .await
    }

    async fn maintain(&self, sql: String, binds: Vec<Value<'static>>) -> Result<(), Error> {
        self.engine
            .shared()
            .queue
            .maintain(Box::new(move |connection| connection.execute(&sql, &binds).map(drop)))
            .await
    }
}

async fn wait_for(marking: &mut Option<BoxFuture<'static, Vec<Key>>>) -> Vec<Key> {
    match marking {
        Some(marking) => marking.await,
        None => std::future::pending().await,
    }
}

async fn fed_identity(database: &Database) -> Result<Option<String>, Error> {
    database
        .read(|connection| {
            connection
                .query("SELECT identity FROM bus_identity WHERE id = 'bus'", &[])?
                .pop()
                .map(|mut row| row.text())
                .transpose()
        })
        .await
}

async fn unpublished(database: &Database) -> Result<Vec<Message>, Error> {
    let schema = database.schema().to_owned();
    database
        .read(move |connection| {
            let sql = format!(
                "{SELECT_EVENTS} JOIN unpublished USING (aggregate, number) ORDER BY aggregate, number LIMIT {SCAN_BATCH}"
            );
            connection.query(&sql, &[])?.into_iter().map(|mut row| read_event(&schema, &mut row)).collect()
        })
        .await
}

/// Every column of an event that `read_event` reads.
pub const SELECT_EVENTS: &str = "SELECT aggregate, number, kind, payload, time, traceparent, causation FROM events";

/// Reads what SELECT_EVENTS selected.
pub fn read_event(context: &str, row: &mut Row) -> Result<Message, StorageError> {
    Ok(Message {
        context: context.to_owned(),
        aggregate: row.text()?,
        number: row.int()?,
        kind: row.text()?,
        payload: row.bytes()?,
        time: Time(row.int()?),
        traceparent: row.optional_text()?,
        causation: row.optional_text()?,
    })
}

/// How much of an outbox waits for the bus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutboxStatus {
    /// Events that wait.
    pub unpublished: i64,
    /// When the oldest of them was committed.
    pub oldest: Option<Time>,
}

/// How much of a context's outbox waits for the bus.
pub async fn status(database: &Database) -> Result<OutboxStatus, Error> {
    database
        .read(|connection| {
            let sql = "SELECT COUNT(*), MIN(time) FROM unpublished JOIN events USING (aggregate, number)";
            connection.query(sql, &[])?.pop().map_or(Ok(OutboxStatus::default()), |mut row| {
                Ok(OutboxStatus { unpublished: row.int()?, oldest: row.optional_int()?.map(Time) })
            })
        })
        .await
}
