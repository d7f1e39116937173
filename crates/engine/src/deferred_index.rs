//! An index that is written late and in bulk.
//!
//! An index of values that come in no order takes each new entry to a page of its own, and a page written costs more than
//! the row that it leads to. So entries wait in a list, in the order in which they come, and are sorted in when there are
//! many: those of one value then share a page. Whoever looks for a value looks in both. (It is what PostgreSQL's GIN does
//! with its pending list.)

use crate::storage::{Column, Connection, StorageError, Value, insert_rows};

/// Entries that wait at most, about: whoever looks for a value reads them all.
pub(crate) const MAX_WAITING: usize = 8192;

/// Tells which column of an aggregate's table has such an index. Its text never changes. The tables `{index}` and
/// `{index}_waiting` have the columns `id` and that one.
#[derive(Clone, Copy, Debug)]
pub struct DeferredIndex {
    /// Its name, e.g. "things_by_reader".
    pub name: &'static str,
    /// The column, e.g. "reader".
    pub column: &'static str,
}

impl DeferredIndex {
    /// The table of the entries that wait to be sorted in.
    pub fn waiting(&self) -> String {
        format!("{}_waiting", self.name)
    }

    /// Lets the entries of new rows wait; `rows` have these columns, the id first.
    pub(crate) fn add(
        &self,
        connection: &mut Connection,
        columns: &[&Column],
        rows: &[Vec<Value<'_>>],
    ) -> Result<(), StorageError> {
        let place = columns.iter().position(|column| column.name == self.column).unwrap_or_default();
        let entries = rows.iter().map(|row| vec![row[0].clone(), row[place].clone()]).collect();
        let own = [&Column::text("id"), &Column::text(self.column)];
        insert_rows(connection, &self.waiting(), &own, entries).map(drop)
    }

    /// Sorts in what waits. Replicas that do so at once move each entry once.
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

    /// The condition that a column has a value, and how often it binds the value: an indexed column is looked up in both
    /// tables.
    pub(crate) fn condition(&self, column: &str) -> (String, usize) {
        if column != self.column {
            return (format!("{column} = ?"), 1);
        }
        let ids = |table: &str| format!("SELECT id FROM {table} WHERE {column} = ?");
        (format!("id IN ({} UNION ALL {})", ids(self.name), ids(&self.waiting())), 2)
    }
}
