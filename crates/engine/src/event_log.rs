//! A context's history, read in the sequence of its commits, and the steps of the consumers that read it.
//!
//! `seq` grows from commit to commit: SQLite has one writer at a time, and on PostgreSQL the transactions that append
//! take turns (see `Connection::transaction_in_turn`). So a reader that has seen position n has seen every event up to n.

use std::sync::Arc;

use jumun_core::{Envelope, Error};

use crate::{
    rows::read_event,
    storage::{Connection, Database, StorageError, Value, select},
};

/// At most `limit` events after a position, in the sequence of their commits.
pub async fn after(database: &Database, position: i64, limit: usize) -> Result<Vec<Arc<Envelope>>, Error> {
    query(database, format!("seq > ? ORDER BY seq LIMIT {limit}"), vec![position.into()]).await
}

/// The first event of an aggregate with at least this number, up to and with a position.
pub async fn first_of(
    database: &Database,
    aggregate: &str,
    number: i64,
    position: i64,
) -> Result<Option<Arc<Envelope>>, Error> {
    let condition = "aggregate = ? AND number >= ? AND seq <= ? ORDER BY number LIMIT 1".to_owned();
    let binds = vec![aggregate.to_owned().into(), number.into(), position.into()];
    Ok(query(database, condition, binds).await?.pop())
}

async fn query(
    database: &Database,
    condition: String,
    binds: Vec<Value<'static>>,
) -> Result<Vec<Arc<Envelope>>, Error> {
    let context = database.schema().to_owned();
    let sql = format!("{} WHERE {condition}", select::<Envelope>(&["seq"]));
    let read = move |connection: &mut Connection| {
        connection.query(&sql, &binds)?.into_iter().map(|row| read_event(&context, row).map(Arc::new)).collect()
    };
    database.read(read).await
}

/// The number of events after a position.
pub async fn count_after(database: &Database, position: i64) -> Result<i64, Error> {
    let sql = "SELECT COUNT(*) FROM events WHERE seq > ?";
    database.read(move |connection| connection.query(sql, &[position.into()])?.remove(0).int()).await
}

/// The stored position of a consumer; None if it never read a history.
pub(crate) fn stored_position(connection: &mut Connection, consumer: &str) -> Result<Option<i64>, StorageError> {
    let rows = connection.query("SELECT position FROM positions WHERE consumer = ?", &[consumer.into()])?;
    rows.into_iter().next().map(|mut row| row.int()).transpose()
}

/// A consumer's step to a position, which is stored in the same transaction as its effects.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) consumer: String,
    /// The version of the consumer's state before the step.
    pub(crate) version: i64,
    /// The position after it.
    pub(crate) to: i64,
}

impl Step {
    /// Stores the step; fails as stale if another process has changed the consumer's state.
    pub(crate) fn save(&self, connection: &mut Connection) -> Result<(), StorageError> {
        let sql = "UPDATE positions SET position = ?, version = version + 1 WHERE consumer = ? AND version = ?";
        let binds = [self.to.into(), self.consumer.as_str().into(), self.version.into()];
        if connection.execute(sql, &binds)? == 1 { Ok(()) } else { Err(StorageError::Stale("position")) }
    }
}
