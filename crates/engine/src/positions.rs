//! How far the consumers of a context have read the histories of others.

use jumun_core::Error;

use crate::{
    EngineHandle,
    storage::{Connection, StorageError},
};

/// What a database stores of a consumer that reads the history of another context.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ConsumerState {
    /// The position up to which it has read.
    pub position: i64,
    /// The number of changes of this state. A batch is applied only to the version that it was made for, so processes
    /// that run the same consumer notice each other.
    pub version: i64,
    /// The aggregates with events up to the position that wait for a retry, each with the number of the first of them.
    pub retrying: Vec<(String, i64)>,
}

/// Reads the stored state of a consumer, and stores one at the first start.
pub async fn consumer_state(engine: &dyn EngineHandle, consumer: &str) -> Result<ConsumerState, Error> {
    let name = consumer.to_owned();
    let found = engine.database().read(move |connection| stored_state(connection, &name)).await?;
    if let Some(state) = found {
        return Ok(state);
    }
    let name = consumer.to_owned();
    let sql = "INSERT INTO positions (consumer, position, version) VALUES (?, 0, 0) ON CONFLICT (consumer) DO NOTHING";
    engine.maintain(Box::new(move |connection| connection.execute(sql, &[name.as_str().into()]).map(drop))).await?;
    Ok(ConsumerState::default())
}

fn stored_state(connection: &mut Connection, consumer: &str) -> Result<Option<ConsumerState>, StorageError> {
    let sql = "SELECT position, version FROM positions WHERE consumer = ?";
    let Some(mut row) = connection.query(sql, &[consumer.into()])?.pop() else { return Ok(None) };
    let (position, version) = (row.int()?, row.int()?);
    let prefix = format!("{consumer}/");
    let mut retrying = Vec::new();
    for mut row in connection.query("SELECT id, last_event FROM inbox WHERE retrying > 0", &[])? {
        if let Some(aggregate) = row.text()?.strip_prefix(&prefix) {
            retrying.push((aggregate.to_owned(), row.int()? + 1));
        }
    }
    Ok(Some(ConsumerState { position, version, retrying }))
}
