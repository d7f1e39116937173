//! The transactional outbox: the table `events` is a context's history, and the table `unpublished` is the queue of
//! events that the bus has not acknowledged.
//!
//! The queue is a table and not a cursor, so that a transaction that commits late is never skipped. It has one row per
//! transaction with events, because a row per event would cost as much as the event.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jumun_core::{Envelope, Error, Time, time::Instant};
use tokio::sync::{Notify, mpsc, watch};

use crate::{
    rows::read_event,
    storage::{Connection, Database, StorageError, Value, json_column, select},
};

/// Maximum number of outbox entries, and approximate number of events, per scan.
const SCAN_BATCH: usize = 2048;
/// Batches that are queued for the relay; beyond them it reads the table.
const MAX_QUEUED_BATCHES: usize = 64;

/// The id of an event's aggregate, and the event's number within it.
pub type Key = (String, i64);
/// The id of an outbox entry: of the events of one transaction that wait for the bus.
pub type BatchId = Arc<str>;

/// The events of one transaction.
#[derive(Debug, Default)]
pub struct CommittedEvents {
    /// The id of their outbox entry.
    pub batch: BatchId,
    /// The events.
    pub events: Vec<Envelope>,
}

/// Where committed events go.
#[derive(Clone)]
pub enum Outlet {
    /// To consumers of the same process, which read the history: told that there is more.
    History(watch::Sender<()>),
    /// To the relay, which publishes them on a broker.
    Relay(CommittedSender),
}

/// Hands committed events from the writer over to the relay.
#[derive(Clone)]
pub struct CommittedSender {
    /// Has no capacity left if the relay is behind.
    pub sender: tokio::sync::mpsc::Sender<CommittedEvents>,
    /// Notified when `sender` was full: the relay reads the rest from the table.
    pub overflow: Arc<Notify>,
}

/// The channel from a writer to its relay.
pub fn channel() -> (CommittedSender, CommittedReceiver) {
    let (sender, receiver) = mpsc::channel(MAX_QUEUED_BATCHES);
    let overflow = Arc::new(Notify::new());
    (CommittedSender { sender, overflow: overflow.clone() }, CommittedReceiver { receiver, overflow })
}

/// Receives committed events from the writer.
pub struct CommittedReceiver {
    /// Committed events, in the order of their transactions.
    pub receiver: mpsc::Receiver<CommittedEvents>,
    /// Notified when events were committed that are not in `receiver`.
    pub overflow: Arc<Notify>,
}

/// Adds an outbox entry for events; does nothing if the entry exists.
pub(crate) fn insert_unpublished<'a>(
    connection: &mut Connection,
    batch: &str,
    events: impl Iterator<Item = (&'a str, i64)>,
    now: Time,
) -> Result<(), StorageError> {
    let events: Vec<_> = events.collect();
    if events.is_empty() {
        return Ok(());
    }
    let size = i64::try_from(events.len()).unwrap_or(i64::MAX);
    let sql = "INSERT INTO unpublished (batch, events, size, time) VALUES (?, ?, ?, ?) ON CONFLICT (batch) DO NOTHING";
    connection.execute(sql, &[batch.into(), json_column(&events), size.into(), now.0.into()]).map(drop)
}

/// Deletes outbox entries whose events the bus has acknowledged.
pub fn delete_published(connection: &mut Connection, published: &[BatchId]) -> Result<(), StorageError> {
    for batch in published {
        connection.execute("DELETE FROM unpublished WHERE batch = ?", &[Value::from(&**batch)])?;
    }
    Ok(())
}

/// The result of a scan of the outbox.
#[derive(Debug, Default)]
pub struct Unpublished {
    /// The oldest entries that are not in flight, in the order of their transactions.
    pub batches: Vec<CommittedEvents>,
    /// Whether there is no newer entry.
    pub is_complete: bool,
}

/// Reads outbox entries that are not in flight.
pub async fn unpublished(database: &Database, in_flight: HashSet<BatchId>) -> Result<Unpublished, Error> {
    let schema = database.schema().to_owned();
    let sql = format!("SELECT batch, size FROM unpublished ORDER BY batch LIMIT {SCAN_BATCH}");
    let read = move |connection: &mut Connection| {
        let (mut found, mut events) = (Vec::new(), 0);
        let mut rows = connection.query(&sql, &[])?;
        let mut is_complete = rows.len() < SCAN_BATCH;
        for row in &mut rows {
            let (batch, size) = (BatchId::from(row.text()?), row.int()?);
            if in_flight.contains(&batch) {
                continue;
            }
            if events >= SCAN_BATCH {
                is_complete = false;
                break;
            }
            events += usize::try_from(size).unwrap_or(SCAN_BATCH);
            found.push(batch);
        }
        let batches =
            found.into_iter().map(|batch| read_batch(connection, &schema, batch)).collect::<Result<_, _>>()?;
        Ok(Unpublished { batches, is_complete })
    };
    database.read(read).await
}

/// Reads the events of an outbox entry; none if another replica just deleted it.
fn read_batch(connection: &mut Connection, schema: &str, batch: BatchId) -> Result<CommittedEvents, StorageError> {
    let row = connection.query("SELECT events FROM unpublished WHERE batch = ?", &[Value::from(&*batch)])?.pop();
    let keys: Vec<Key> = row.map_or(Ok(Vec::new()), |mut row| row.json())?;
    let (select, mut rows) = (select::<Envelope>(&["seq"]), Vec::with_capacity(keys.len()));
    match connection {
        Connection::Postgres(_) => {
            let (aggregates, numbers) = keys.into_iter().map(|(id, number)| (Some(id.into()), Some(number))).unzip();
            let sql = format!(
                "{select} JOIN UNNEST(?::text[], ?::bigint[]) AS u (aggregate, number) \
                 USING (aggregate, number) ORDER BY aggregate, number"
            );
            rows = connection.query(&sql, &[Value::Texts(aggregates), Value::Ints(numbers)])?;
        }
        Connection::Sqlite(_) => {
            let sql = format!("{select} WHERE aggregate = ? AND number = ?");
            for (aggregate, number) in keys {
                rows.append(&mut connection.query(&sql, &[aggregate.into(), number.into()])?);
            }
        }
    }
    let events = rows.into_iter().map(|row| read_event(schema, row)).collect::<Result<_, _>>()?;
    Ok(CommittedEvents { batch, events })
}

/// The backlog of an outbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutboxStatus {
    /// The number of events that wait for the bus.
    pub unpublished: i64,
    /// Since when the oldest of them waits.
    pub oldest: Option<Time>,
}

/// The backlog of a context's outbox.
pub async fn status(database: &Database) -> Result<OutboxStatus, Error> {
    database
        .read(|connection| {
            let sql = "SELECT CAST(COALESCE(SUM(size), 0) AS BIGINT), MIN(time) FROM unpublished";
            connection.query(sql, &[])?.pop().map_or(Ok(OutboxStatus::default()), |mut row| {
                Ok(OutboxStatus { unpublished: row.int()?, oldest: row.optional_int()?.map(Time) })
            })
        })
        .await
}

/// Since when a relay is stalled; None while it makes progress or is idle.
#[derive(Debug, Default)]
pub struct Stall(Mutex<Option<Instant>>);

impl Stall {
    /// How long the relay has been stalled; None if it is not.
    pub fn elapsed(&self) -> Option<Duration> {
        self.lock().map(|since| since.elapsed())
    }

    /// Sets since when the relay is stalled, and returns the previous value.
    pub fn set(&self, since: Option<Instant>) -> Option<Instant> {
        std::mem::replace(&mut *self.lock(), since)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
