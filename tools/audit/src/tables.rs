//! Reads rows of any table.

use std::collections::HashMap;

use engine::storage::{Database, Record, Row, StorageError, select};

/// The rows of a query.
pub(crate) async fn rows<T: Send + 'static>(
    database: &Database,
    sql: String,
    read: impl Fn(&mut Row) -> Result<T, StorageError> + Send + 'static,
) -> anyhow::Result<Vec<T>> {
    let rows = database.read(move |connection| connection.query(&sql, &[])?.iter_mut().map(&read).collect()).await;
    rows.map_err(|error| anyhow::anyhow!("cannot read {database:?}: {error}"))
}

/// The number that a query counts.
pub(crate) async fn count(database: &Database, sql: String) -> anyhow::Result<i64> {
    Ok(rows(database, sql, Row::int).await?.first().copied().unwrap_or_default())
}

/// Reads the records of a table, by ID.
pub(crate) async fn by_id<R: Record<Given = ()> + Send + 'static>(
    database: &Database,
) -> anyhow::Result<HashMap<String, R>> {
    let record = |row: &mut Row| Ok((row.text()?, R::from_row((), row)?));
    Ok(rows(database, select::<R>(&["id"]), record).await?.into_iter().collect())
}

/// Reads the records of a table that contain their ID, by ID.
pub(crate) async fn by_own_id<R: Record<Given = String> + Send + 'static>(
    database: &Database,
) -> anyhow::Result<HashMap<String, R>> {
    let record = |row: &mut Row| {
        let id = row.text()?;
        Ok((id.clone(), R::from_row(id, row)?))
    };
    Ok(rows(database, select::<R>(&["id"]), record).await?.into_iter().collect())
}
