//! The identity of the bus that an outbox publishes to. Another bus, or a recreated stream, gets all events again.

use jumun_core::Error;

use crate::{
    EngineHandle,
    outbox::{Key, insert_unpublished},
    storage::{Connection, Database, Row, StorageError},
};

/// Events per outbox entry when all events are published again.
const REPUBLISH_BATCH: usize = 512;

/// The identity of the bus that this outbox last published to; None if it never did.
pub async fn stored_identity(database: &Database) -> Result<Option<String>, Error> {
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

/// Marks all events as unpublished, one range after another. Replicas that do so at the same time write the same rows.
pub async fn republish_all(engine: &dyn EngineHandle) -> Result<(), Error> {
    let mut last = (String::new(), 0);
    loop {
        let keys = keys_after(engine.database(), last.clone()).await?;
        let (Some(first), Some(end)) = (keys.first(), keys.last()) else { return Ok(()) };
        let batch = format!("{} {}..{} {}", first.0, first.1, end.0, end.1);
        last = end.clone();
        let now = engine.now();
        let mark = move |connection: &mut Connection| {
            insert_unpublished(
                connection,
                &batch,
                keys.iter().map(|(aggregate, number)| (aggregate.as_str(), *number)),
                now,
            )
        };
        engine.maintain(Box::new(mark)).await?;
    }
}

/// The keys of the next range of events.
async fn keys_after(database: &Database, (aggregate, number): Key) -> Result<Vec<Key>, Error> {
    let sql = format!(
        "SELECT aggregate, number FROM events WHERE (aggregate, number) > (?, ?) \
         ORDER BY aggregate, number LIMIT {REPUBLISH_BATCH}"
    );
    let binds = [aggregate.into(), number.into()];
    database.read(move |connection| connection.query(&sql, &binds)?.iter_mut().map(read_key).collect()).await
}

/// Deletes all outbox entries: no bus has to get the events.
pub async fn clear_outbox(engine: &dyn EngineHandle) -> Result<(), Error> {
    engine.maintain(Box::new(|connection| connection.execute("DELETE FROM unpublished", &[]).map(drop))).await
}

/// Stores the identity of the bus.
pub async fn save_identity(engine: &dyn EngineHandle, identity: String) -> Result<(), Error> {
    let sql = "INSERT INTO bus_identity (id, identity) VALUES ('bus', ?) \
               ON CONFLICT (id) DO UPDATE SET identity = excluded.identity";
    engine.maintain(Box::new(move |connection| connection.execute(sql, &[identity.as_str().into()]).map(drop))).await
}

fn read_key(row: &mut Row) -> Result<Key, StorageError> {
    Ok((row.text()?, row.int()?))
}
