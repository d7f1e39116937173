//! The row of an aggregate: its id, its version, the number of its last event, and its own columns.

use crate::{
    Stored,
    storage::{self, Column, Row, StorageError, Value},
};

/// The columns that the engine maintains in the table of each aggregate.
const ENGINE_COLUMNS: [Column; 3] = [Column::text("id"), Column::int("version"), Column::int("last_event")];

/// `id, version, last_event` and the table's own columns.
pub(crate) fn columns<A: Stored>() -> Vec<&'static Column> {
    ENGINE_COLUMNS.iter().chain(A::TABLE.columns).collect()
}

/// `SELECT id, version, last_event, <columns> FROM <table>`.
pub(crate) fn select<A: Stored>() -> String {
    storage::select::<A>(&ENGINE_COLUMNS.map(|column| column.name))
}

/// The version of an aggregate's row, and the number of its last event.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Revision {
    pub(crate) version: i64,
    pub(crate) last_event: i64,
}

pub(crate) fn read_stored<A: Stored>(row: &mut Row) -> Result<(A, Revision), StorageError> {
    let id = row.text()?;
    let revision = Revision { version: row.int()?, last_event: row.int()? };
    Ok((A::from_row(id, row)?, revision))
}

/// The values of `columns` for an aggregate.
pub(crate) fn row<'a, A: Stored>(id: &'a str, revision: Revision, state: &'a A) -> Vec<Value<'a>> {
    let own = [id.into(), revision.version.into(), revision.last_event.into()];
    own.into_iter().chain(state.to_row()).collect()
}
