//! Dead letters: events that a subscription could not apply, stored in the database of the receiving context.

use jumun_core::Error;

use crate::{
    EngineHandle,
    storage::{Database, Record, select},
};

pub use crate::rows::DeadLetter;

/// At most `limit` dead letters with a `seq` greater than `after`, oldest first.
pub async fn list(database: &Database, after: i64, limit: usize) -> Result<Vec<DeadLetter>, Error> {
    database
        .read(move |connection| {
            let letters = select::<DeadLetter>(&["seq"]);
            let sql = format!("{letters} WHERE seq > ? ORDER BY seq LIMIT {limit}");
            let rows = connection.query(&sql, &[after.into()])?;
            rows.into_iter().map(|mut row| DeadLetter::from_row(row.int()?, &mut row)).collect()
        })
        .await
}

/// The number of dead letters.
pub async fn count(database: &Database) -> Result<i64, Error> {
    let sql = "SELECT COUNT(*) FROM dead_letters";
    database.read(|connection| connection.query(sql, &[])?.pop().map_or(Ok(0), |mut row| row.int())).await
}

/// Deletes a dead letter, so that later events of its aggregate can be applied; returns false if there is none.
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
