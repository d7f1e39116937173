//! Which bus an outbox fed last. Another bus, or a stream that was made anew, is fed from the beginning.

use jumun_core::Error;

use crate::{
    EngineHandle,
    outbox::{Key, note},
    storage::{Connection, Database, Row, StorageError},
};

/// Events that wait as one batch when a bus is fed again.
const REFEED_BATCH: usize = 512;

/// The identity of the bus that this outbox fed last.
pub async fn fed_identity(database: &Database) -> Result<Option<String>, Error> {
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

/// Makes every event unpublished again, one range after another. Replicas that do so at the same time write the same.
pub async fn feed_again(engine: &dyn EngineHandle) -> Result<(), Error> {
    let mut last = (String::new(), 0);
    loop {
        let keys = keys_after(engine.database(), last.clone()).await?;
        let (Some(first), Some(end)) = (keys.first(), keys.last()) else { return Ok(()) };
        let batch = format!("{} {}..{} {}", first.0, first.1, end.0, end.1);
        last = end.clone();
        let now = engine.now();
        let again = move |connection: &mut Connection| {
            note(connection, &batch, keys.iter().map(|(aggregate, number)| (aggregate.as_str(), *number)), now)
        };
        engine.maintain(Box::new(again)).await?;
    }
}

/// The events of the range after `last`.
async fn keys_after(database: &Database, (aggregate, number): Key) -> Result<Vec<Key>, Error> {
    let sql = format!(
        "SELECT aggregate, number FROM events WHERE (aggregate, number) > (?, ?) \
         ORDER BY aggregate, number LIMIT {REFEED_BATCH}"
    );
    let binds = [aggregate.into(), number.into()];
    database.read(move |connection| connection.query(&sql, &binds)?.iter_mut().map(read_key).collect()).await
}

/// Remembers which bus was fed.
pub async fn remember_identity(engine: &dyn EngineHandle, identity: String) -> Result<(), Error> {
    let sql = "INSERT INTO bus_identity (id, identity) VALUES ('bus', ?) \
               ON CONFLICT (id) DO UPDATE SET identity = excluded.identity";
    engine.maintain(Box::new(move |connection| connection.execute(sql, &[identity.as_str().into()]).map(drop))).await
}

fn read_key(row: &mut Row) -> Result<Key, StorageError> {
    Ok((row.text()?, row.int()?))
}
