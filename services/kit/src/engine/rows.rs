//! The rows that an engine keeps beside its aggregates and events, each with its columns declared once.

use crate::Time;

/// How far a consumer has come with one aggregate.
pub(super) struct InboxRow {
    /// `{consumer}/{aggregate}`.
    pub(super) id: String,
    pub(super) version: i64,
    pub(super) last_event: i64,
    /// Dead letters that later events wait behind.
    pub(super) parked: i64,
}

crate::record! {
    InboxRow in "inbox" { id, version, last_event, parked }
}

/// The first answer to a request.
pub(super) struct RequestRow {
    pub(super) id: String,
    pub(super) fingerprint: String,
    /// Of a creation, the id of what was created.
    pub(super) reply: Vec<u8>,
    pub(super) time: Time,
}

crate::record! {
    RequestRow in "requests" { id, fingerprint, reply, time }
}

/// An event that could not be applied, with everything that is needed to apply it again.
pub(crate) struct DeadLetter {
    /// The database counts it; 0 until it is stored.
    pub(crate) seq: i64,
    pub(crate) inbox_id: String,
    pub(crate) consumer: String,
    /// The event's id.
    pub(crate) event: String,
    pub(crate) context: String,
    pub(crate) aggregate: String,
    pub(crate) number: i64,
    pub(crate) kind: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) event_time: Time,
    pub(crate) traceparent: Option<String>,
    pub(crate) reason: String,
    pub(crate) time: Time,
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use diesel_migrations::{EmbeddedMigrations, embed_migrations};

    use super::*;
    use crate::{
        Message,
        storage::{Database, DatabaseUrl, Kind, Record},
        world::columns_of,
    };

    const MIGRATIONS: EmbeddedMigrations = embed_migrations!("tests/kit/migrations/counter");

    #[test]
    fn every_table_of_the_engine_has_the_columns_that_are_declared() {
        let directory = tempfile::tempdir().expect("a folder");
        let database = Database::new("counter", DatabaseUrl::Sqlite(directory.path().join("counter.db")));
        database.migrate(&MIGRATIONS).expect("migrated");
        let mut connection = database.connect().expect("a database");
        let tables = [Message::TABLE, InboxRow::TABLE, RequestRow::TABLE, DeadLetter::TABLE];
        for (table, counted) in tables.into_iter().zip([None, None, None, Some(("seq".to_owned(), Kind::Int))]) {
            let declared = table.columns.iter().map(|column| (column.name.to_owned(), column.kind));
            let declared: BTreeMap<_, _> = declared.chain(counted).collect();
            assert_eq!(columns_of(&mut connection, table.name).expect("a table"), declared, "{}", table.name);
        }
    }
}
