//! A deferred index: new entries wait in a list and are merged into the index in bulk.
//!
//! In an index on random values, each new entry changes another page, and writing a page costs more than the
//! row itself. So new entries are appended to a table of waiting entries, and merged sorted once there are
//! many: entries of one value then share a page. Queries read both tables. PostgreSQL's GIN does the same with its
//! pending list.

use crate::storage::{Column, Connection, StorageError, Value, insert_rows};

/// Approximate maximum of waiting entries; each query for a value may have to read them all.
pub(crate) const MAX_WAITING_ENTRIES: usize = 8192;

/// The declaration of such an index on a text column of an aggregate's table, whose values never change. The tables
/// `{index}` and `{index}_waiting` have the columns `id` and that column.
#[derive(Clone, Copy, Debug)]
pub struct DeferredIndex {
    /// Its name, e.g. "things_by_reader".
    pub name: &'static str,
    /// The column, e.g. "reader".
    pub column: &'static str,
}

impl DeferredIndex {
    /// The table of the entries that wait for the next merge.
    pub fn waiting(&self) -> String {
        format!("{}_waiting", self.name)
    }

    /// Adds waiting entries for new rows; `rows` have the columns `columns`, the id first.
    pub(crate) fn add(
        &self,
        connection: &mut Connection,
        columns: &[&Column],
        rows: &[Vec<Value<'_>>],
    ) -> Result<(), StorageError> {
        let index = columns.iter().position(|column| column.name == self.column).unwrap_or_default();
        let entries = rows.iter().map(|row| vec![row[0].clone(), row[index].clone()]).collect();
        let own = [&Column::text("id"), &Column::text(self.column)];
        insert_rows(connection, &self.waiting(), &own, entries).map(drop)
    }

    /// Moves the waiting entries into the index. Replicas that do so at the same time move each entry once.
    pub(crate) fn merge(&self, connection: &mut Connection) -> Result<(), StorageError> {
        let (Self { name, column }, waiting) = (self, self.waiting());
        let insert = format!("INSERT INTO {name} (id, {column}) SELECT id, {column} FROM");
        let take = format!("DELETE FROM {waiting}");
        match connection {
            Connection::Postgres(_) => connection
                .batch(&format!("WITH taken AS ({take} RETURNING id, {column}) {insert} taken ORDER BY {column}, id")),
            Connection::Sqlite(_) => connection.batch(&format!("{insert} {waiting} ORDER BY {column}, id; {take}")),
        }
    }

    /// The SQL condition that a column equals a bound value, and how often it binds the value: the indexed column is
    /// looked up in both tables.
    pub(crate) fn condition(&self, column: &str) -> (String, usize) {
        if column != self.column {
            return (format!("{column} = ?"), 1);
        }
        let ids = |table: &str| format!("SELECT id FROM {table} WHERE {column} = ?");
        (format!("id IN ({} UNION ALL {})", ids(self.name), ids(&self.waiting())), 2)
    }
}
