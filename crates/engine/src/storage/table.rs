//! Bulk writes: one statement with arrays and UNNEST (PostgreSQL), or one prepared statement many times (SQLite).

use super::{Connection, StorageError, Value, connection::split};

/// A table and its columns. The table of an aggregate also has the columns `id` (text, the key), `version` and
/// `last_event` (integers), which the engine maintains.
#[derive(Debug)]
pub struct Table {
    /// The table's name.
    pub name: &'static str,
    /// Its columns.
    pub columns: &'static [Column],
}

/// One column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// The kind of its values.
    pub kind: Kind,
}

/// The kind of the values of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// TEXT.
    Text,
    /// BIGINT.
    Int,
    /// BYTEA; BLOB in SQLite.
    Bytes,
}

impl Column {
    /// A column of text.
    pub const fn text(name: &'static str) -> Self {
        Self { name, kind: Kind::Text }
    }

    /// A column of 64-bit integers.
    pub const fn int(name: &'static str) -> Self {
        Self { name, kind: Kind::Int }
    }
}

/// Rows per statement of SQLite. Remaining rows are written one by one, so that only two statements per table are
/// prepared.
const SQLITE_CHUNK: usize = 16;

/// Inserts rows; fails as stale if a key already exists.
pub(crate) fn insert_rows(
    connection: &mut Connection,
    table: &str,
    columns: &[&Column],
    rows: Vec<Vec<Value<'_>>>,
) -> Result<usize, StorageError> {
    if rows.is_empty() {
        return Ok(0);
    }
    let names = names(columns);
    match connection {
        Connection::Postgres(_) => {
            let sql = format!("INSERT INTO {table} ({names}) SELECT * FROM UNNEST({})", arrays(columns));
            connection.execute(&sql, &transpose(columns, rows))
        }
        Connection::Sqlite(_) => {
            // OR FAIL avoids a statement journal: after an error the whole transaction is rolled back anyway.
            let marks = format!("({})", vec!["?"; columns.len()].join(", "));
            in_chunks(connection, rows, |count| {
                format!("INSERT OR FAIL INTO {table} ({names}) VALUES {}", vec![marks.as_str(); count].join(", "))
            })
        }
    }
}

/// Updates rows whose stored version is the previous one. The first columns are id and version. Returns the number of
/// updated rows, which is smaller if another writer was faster.
pub(crate) fn update_rows(
    connection: &mut Connection,
    table: &str,
    columns: &[&Column],
    mut rows: Vec<Vec<Value<'_>>>,
) -> Result<usize, StorageError> {
    if rows.is_empty() {
        return Ok(0);
    }
    match connection {
        Connection::Postgres(_) => {
            let sql = format!(
                "UPDATE {table} AS t SET {} FROM UNNEST({}) AS u ({}) WHERE t.id = u.id AND t.version = u.version - 1",
                columns[1..].iter().map(|column| format!("{0} = u.{0}", column.name)).collect::<Vec<_>>().join(", "),
                arrays(columns),
                names(columns),
            );
            connection.execute(&sql, &transpose(columns, rows))
        }
        Connection::Sqlite(_) => {
            let sets = columns[1..].iter().map(|column| format!("{} = ?", column.name)).collect::<Vec<_>>().join(", ");
            let sql = format!("UPDATE {table} SET {sets} WHERE id = ? AND version = ?");
            let sql = split(&sql);
            let mut written = 0;
            for row in &mut rows {
                let Some(Value::Int(version)) = row.get(1) else { continue };
                let before = Value::Int(version - 1);
                row.rotate_left(1);
                row.push(before);
                written += connection.execute_split(&sql, row)?;
            }
            Ok(written)
        }
    }
}

/// Removes the columns in which no row differs from its previous values. The first column, the key, stays.
pub(crate) fn differing<'c, 'a>(
    columns: Vec<&'c Column>,
    before: &[Vec<Value<'_>>],
    rows: Vec<Vec<Value<'a>>>,
) -> (Vec<&'c Column>, Vec<Vec<Value<'a>>>) {
    let differs = |index: usize| before.iter().zip(&rows).any(|(before, after)| before[index] != after[index]);
    let stays: Vec<bool> = (0..columns.len()).map(|index| index == 0 || differs(index)).collect();
    let rows = rows.into_iter().map(|row| only(&stays, row)).collect();
    (only(&stays, columns), rows)
}

fn only<T>(stays: &[bool], all: Vec<T>) -> Vec<T> {
    all.into_iter().zip(stays).filter_map(|(one, stays)| stays.then_some(one)).collect()
}

/// Runs a statement of SQLite over many rows; `sql(n)` is the statement for n rows.
fn in_chunks(
    connection: &mut Connection,
    rows: Vec<Vec<Value<'_>>>,
    sql: impl Fn(usize) -> String,
) -> Result<usize, StorageError> {
    let (whole, single) = (sql(SQLITE_CHUNK), sql(1));
    let (whole, single) = (split(&whole), split(&single));
    let mut written = 0;
    let mut rows = rows.into_iter();
    while rows.len() >= SQLITE_CHUNK {
        let binds: Vec<Value<'_>> = rows.by_ref().take(SQLITE_CHUNK).flatten().collect();
        written += connection.execute_split(&whole, &binds)?;
    }
    for row in rows {
        written += connection.execute_split(&single, &row)?;
    }
    Ok(written)
}

fn names(columns: &[&Column]) -> String {
    columns.iter().map(|column| column.name).collect::<Vec<_>>().join(", ")
}

fn arrays(columns: &[&Column]) -> String {
    let array = |column: &&Column| match column.kind {
        Kind::Text => "?::text[]",
        Kind::Int => "?::bigint[]",
        Kind::Bytes => "?::bytea[]",
    };
    columns.iter().map(array).collect::<Vec<_>>().join(", ")
}

/// Turns rows into one array per column.
fn transpose<'a>(columns: &[&Column], rows: Vec<Vec<Value<'a>>>) -> Vec<Value<'a>> {
    let mut arrays: Vec<Value<'a>> = columns
        .iter()
        .map(|column| match column.kind {
            Kind::Text => Value::Texts(Vec::with_capacity(rows.len())),
            Kind::Int => Value::Ints(Vec::with_capacity(rows.len())),
            Kind::Bytes => Value::ByteStrings(Vec::with_capacity(rows.len())),
        })
        .collect();
    for row in rows {
        for (array, value) in arrays.iter_mut().zip(row) {
            match (array, value) {
                (Value::Texts(array), Value::Text(text)) => array.push(Some(text)),
                (Value::Ints(array), Value::Int(number)) => array.push(Some(number)),
                (Value::ByteStrings(array), Value::Bytes(bytes)) => array.push(Some(bytes)),
                (Value::Texts(array), _) => array.push(None),
                (Value::Ints(array), _) => array.push(None),
                (Value::ByteStrings(array), _) => array.push(None),
                _ => {}
            }
        }
    }
    arrays
}
