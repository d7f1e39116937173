//! The rows of the engine's own tables: inbox, requests, events and dead letters.

use jumun_core::{Envelope, Time};

use crate::storage::{Record as _, Row, StorageError};

/// The inbox gate of one consumer and one aggregate: the last event that passed.
pub(crate) struct InboxRow {
    /// `{consumer}/{aggregate}`.
    pub(crate) id: String,
    pub(crate) version: i64,
    pub(crate) last_event: i64,
    /// Dead letters of the aggregate; while there are any, its later events become dead letters, too.
    pub(crate) parked: i64,
    /// 1 while events of the aggregate that the consumer has read wait for a retry.
    pub(crate) retrying: i64,
}

crate::record! {
    InboxRow in "inbox" { id, version, last_event, parked, retrying }
}

/// The first reply to a request.
pub(crate) struct RequestRow {
    pub(crate) id: String,
    pub(crate) fingerprint: String,
    /// The encoded response; for a creation, the id of the created aggregate.
    pub(crate) reply: Vec<u8>,
    pub(crate) time: Time,
}

crate::record! {
    RequestRow in "requests" { id, fingerprint, reply, time }
}

crate::record! {
    Envelope(context: String, sequence: i64) in "events" { aggregate, number, kind, payload, time, traceparent, causation }
}

/// Reads an event from a row with its sequence and its columns.
pub(crate) fn read_event(context: &str, mut row: Row) -> Result<Envelope, StorageError> {
    let sequence = row.int()?;
    Envelope::from_row((context.to_owned(), sequence), &mut row)
}

/// An event that could not be applied, with everything that is needed to redrive it.
pub struct DeadLetter {
    /// Assigned by the database; 0 until it is stored.
    pub seq: i64,
    /// `{consumer}/{aggregate}`.
    pub inbox_id: String,
    /// The name of the subscription that could not apply it.
    pub consumer: String,
    /// The event's id.
    pub event: String,
    /// The context that emitted it.
    pub context: String,
    /// The aggregate's id.
    pub aggregate: String,
    /// Its sequence number within the aggregate.
    pub number: i64,
    /// The event type, e.g. "BookLent".
    pub kind: String,
    /// The encoded protobuf message of the event.
    pub payload: Vec<u8>,
    /// The event's time.
    pub event_time: Time,
    /// The W3C `traceparent` of the operation that emitted it.
    pub traceparent: Option<String>,
    /// Why it could not be applied.
    pub reason: String,
    /// When it became a dead letter.
    pub time: Time,
}

crate::record! {
    DeadLetter(seq: i64) in "dead_letters" {
        inbox_id,
        consumer,
        event,
        context,
        aggregate,
        number,
        kind,
        payload,
        event_time,
        traceparent,
        reason,
        time,
    }
}

impl DeadLetter {
    /// The event, to redrive it.
    pub fn into_envelope(self) -> Envelope {
        Envelope {
            context: self.context,
            sequence: 0,
            aggregate: self.aggregate,
            number: self.number,
            kind: self.kind,
            payload: self.payload,
            time: self.event_time,
            traceparent: self.traceparent,
            causation: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use diesel_migrations::{EmbeddedMigrations, embed_migrations};

    use super::*;
    use crate::storage::{Database, DatabaseUrl, Kind, Record, columns_of};

    const MIGRATIONS: EmbeddedMigrations = embed_migrations!("src/rows/no_migrations");

    #[test]
    fn every_table_of_the_engine_has_the_columns_that_are_declared() {
        let directory = tempfile::tempdir().expect("a folder");
        let database = Database::new("counter", DatabaseUrl::Sqlite(directory.path().join("counter.db")));
        database.migrate(&MIGRATIONS).expect("migrated");
        let mut connection = database.connect().expect("a database");
        let tables = [Envelope::TABLE, InboxRow::TABLE, RequestRow::TABLE, DeadLetter::TABLE];
        let counted = Some("seq");
        for (table, counted) in tables.into_iter().zip([counted, None, None, counted]) {
            let declared = table.columns.iter().map(|column| (column.name.to_owned(), column.kind));
            let declared: BTreeMap<_, _> = declared.chain(counted.map(|name| (name.to_owned(), Kind::Int))).collect();
            assert_eq!(columns_of(&mut connection, table.name).expect("a table"), declared, "{}", table.name);
        }
    }
}
