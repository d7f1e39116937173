//! Dead letters: events that a subscription could not apply, kept in the consumer's own database.

use jumun_core::{Envelope, Error, Time};

use crate::{
    EngineHandle,
    storage::{Database, Row, StorageError},
};

const SELECT: &str = "SELECT seq, consumer, context, aggregate, number, kind, payload, event_time, traceparent, reason, time FROM dead_letters";

/// An event that a subscription could not apply.
pub struct DeadLetter {
    /// Its place among the dead letters of its database.
    pub seq: i64,
    /// The subscription that could not apply it.
    pub consumer: String,
    /// The event.
    pub envelope: Envelope,
    /// Why it could not be applied.
    pub reason: String,
    /// When it was put aside.
    pub time: Time,
}

impl DeadLetter {
    fn read(row: &mut Row) -> Result<Self, StorageError> {
        Ok(Self {
            seq: row.int()?,
            consumer: row.text()?,
            envelope: Envelope {
                context: row.text()?,
                aggregate: row.text()?,
                number: row.int()?,
                kind: row.text()?,
                payload: row.bytes()?,
                time: Time(row.int()?),
                traceparent: row.optional_text()?,
                causation: None,
            },
            reason: row.text()?,
            time: Time(row.int()?),
        })
    }
}

/// Dead letters after `after`, oldest first, at most `limit` of them.
pub async fn list(database: &Database, after: i64, limit: usize) -> Result<Vec<DeadLetter>, Error> {
    database
        .read(move |connection| {
            let sql = format!("{SELECT} WHERE seq > ? ORDER BY seq LIMIT {limit}");
            connection.query(&sql, &[after.into()])?.iter_mut().map(DeadLetter::read).collect()
        })
        .await
}

/// How many there are.
pub async fn count(database: &Database) -> Result<i64, Error> {
    let sql = "SELECT COUNT(*) FROM dead_letters";
    database.read(|connection| connection.query(sql, &[])?.pop().map_or(Ok(0), |mut row| row.int())).await
}

/// Deletes a dead letter, and lets the events behind it go on; false where there is none.
pub async fn discard(engine: &dyn EngineHandle, seq: i64) -> Result<bool, Error> {
    let found = list(engine.database(), seq - 1, 1).await?.first().is_some_and(|found| found.seq == seq);
    if found {
        engine
            .maintain(Box::new(move |connection| {
                connection.execute(
                    "UPDATE inbox SET version = version + 1, parked = parked - 1 WHERE id = (SELECT inbox_id FROM dead_letters WHERE seq = ?)",
                    &[seq.into()],
                )?;
                connection.execute("DELETE FROM dead_letters WHERE seq = ?", &[seq.into()]).map(drop)
            }))
            .await?;
    }
    Ok(found)
}
