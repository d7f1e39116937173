//! The outbox: the `events` table is a context's history, and `unpublished` is the queue of what the bus does not have yet.
//!
//! The queue is a table of what is unpublished, not a cursor: a transaction that commits late is never skipped. It has a row
//! for each transaction that announced something, because a row for each event would cost as much as the event.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jumun_core::{Envelope, Error, Time, time::Instant};
use tokio::sync::{Notify, mpsc};

use crate::storage::{Connection, Database, Record, StorageError, Value, json_column, select};

/// Batches, and events about, that are read at once.
const SCAN_BATCH: usize = 2048;
/// Batches that may wait for the relay before it has to read the table.
const MAX_FRESH: usize = 64;

/// An event's aggregate, and its number there.
pub type Key = (String, i64);
/// The id of the events of one transaction while they wait for the bus.
pub type Batch = Arc<str>;

/// The events of one transaction.
#[derive(Debug, Default)]
pub struct Committed {
    /// What they are called together while they wait for the bus.
    pub batch: Arc<str>,
    /// The events, as they are numbered.
    pub messages: Vec<Envelope>,
}

/// What was just committed, on its way to the relay.
#[derive(Clone)]
pub struct Outgoing {
    /// Takes what was committed.
    pub fresh: tokio::sync::mpsc::Sender<Committed>,
    /// Rung when `fresh` was full: the relay finds the rest in the table.
    pub overflow: Arc<Notify>,
}

/// The two ends between a writer and its relay.
pub fn channel() -> (Outgoing, Fresh) {
    let (sender, receiver) = mpsc::channel(MAX_FRESH);
    let overflow = Arc::new(Notify::new());
    (Outgoing { fresh: sender, overflow: overflow.clone() }, Fresh { receiver, overflow })
}

/// What the writer just committed.
pub struct Fresh {
    /// Gives what was committed, in the order of commits.
    pub receiver: mpsc::Receiver<Committed>,
    /// Rung when events were committed that are not in `receiver`.
    pub overflow: Arc<Notify>,
}

/// Notes that events wait for the bus, as one batch. It may be noted already.
pub(crate) fn note<'a>(
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

/// Strikes off what the bus has.
pub fn strike(connection: &mut Connection, published: &[Batch]) -> Result<(), StorageError> {
    for batch in published {
        connection.execute("DELETE FROM unpublished WHERE batch = ?", &[Value::from(&**batch)])?;
    }
    Ok(())
}

/// What waits for the bus and is not under way.
pub async fn unpublished(database: &Database, under_way: HashSet<Batch>) -> Result<Vec<Committed>, Error> {
    let schema = database.schema().to_owned();
    let sql = format!("SELECT batch, size FROM unpublished ORDER BY batch LIMIT {SCAN_BATCH}");
    let read = move |connection: &mut Connection| {
        let (mut found, mut events) = (Vec::new(), 0);
        for mut row in connection.query(&sql, &[])? {
            let (batch, size) = (Batch::from(row.text()?), row.int()?);
            if events < SCAN_BATCH && !under_way.contains(&batch) {
                events += usize::try_from(size).unwrap_or(SCAN_BATCH);
                found.push(batch);
            }
        }
        found.into_iter().map(|batch| read_batch(connection, &schema, batch)).collect()
    };
    database.read(read).await
}

/// The events of a batch; none where another replica just struck it off.
fn read_batch(connection: &mut Connection, schema: &str, batch: Batch) -> Result<Committed, StorageError> {
    let row = connection.query("SELECT events FROM unpublished WHERE batch = ?", &[Value::from(&*batch)])?.pop();
    let keys: Vec<Key> = row.map_or(Ok(Vec::new()), |mut row| row.json())?;
    let (events, mut rows) = (select::<Envelope>(&[]), Vec::with_capacity(keys.len()));
    match connection {
        Connection::Postgres(_) => {
            let (aggregates, numbers) = keys.into_iter().map(|(id, number)| (Some(id.into()), Some(number))).unzip();
            let sql = format!(
                "{events} JOIN UNNEST(?::text[], ?::bigint[]) AS u (aggregate, number) \
                 USING (aggregate, number) ORDER BY aggregate, number"
            );
            rows = connection.query(&sql, &[Value::Texts(aggregates), Value::Ints(numbers)])?;
        }
        Connection::Sqlite(_) => {
            let sql = format!("{events} WHERE aggregate = ? AND number = ?");
            for (aggregate, number) in keys {
                rows.append(&mut connection.query(&sql, &[aggregate.into(), number.into()])?);
            }
        }
    }
    let messages = rows.iter_mut().map(|row| Envelope::from_row(schema.to_owned(), row)).collect::<Result<_, _>>()?;
    Ok(Committed { batch, messages })
}

/// How much of an outbox waits for the bus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutboxStatus {
    /// Events that wait.
    pub unpublished: i64,
    /// Since when the first of them waits.
    pub oldest: Option<Time>,
}

/// How much of a context's outbox waits for the bus.
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

/// Since when a relay has been stalled; None while it makes progress or has nothing to do.
#[derive(Debug, Default)]
pub struct Stall(Mutex<Option<Instant>>);

impl Stall {
    /// For how long.
    pub fn elapsed(&self) -> Option<Duration> {
        self.lock().map(|since| since.elapsed())
    }

    /// Returns what was set before.
    pub fn set(&self, since: Option<Instant>) -> Option<Instant> {
        std::mem::replace(&mut *self.lock(), since)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
