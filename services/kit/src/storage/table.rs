//! Many rows in one statement (PostgreSQL: arrays and UNNEST) or one prepared statement many times (SQLite).

use super::{Connection, StorageError, Value};

/// How a context's aggregates are stored. Every table also has `id` (text, the key), `version` and `last_event`
/// (integers), which the engine keeps.
#[derive(Debug)]
pub struct Table {
    /// The table's name.
    pub name: &'static str,
    /// Its columns, in the order of `to_row` and `from_row`.
    pub columns: &'static [Column],
}

/// One column.
#[derive(Debug)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
}

/// What a column holds.
#[derive(Clone, Copy, Debug)]
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

    /// A column of bytes.
    pub const fn bytes(name: &'static str) -> Self {
        Self { name, kind: Kind::Bytes }
    }
}

/// Inserts rows; `suffix` is an ON CONFLICT clause or empty. Returns how many rows were written.
pub(crate) fn insert_rows(
    connection: &mut Connection,
    table: &str,
    columns: &[&Column],
    rows: Vec<Vec<Value>>,
    suffix: &str,
) -> Result<usize, StorageError> {
    if rows.is_empty() {
        return Ok(0);
    }
    let names = names(columns, "");
    match connection {
        Connection::Postgres(_) => {
            let sql = format!("INSERT INTO {table} ({names}) SELECT * FROM UNNEST({}) {suffix}", arrays(columns));
            connection.execute(&sql, &transpose(columns, rows))
        }
        Connection::Sqlite(_) => {
            let sql = format!("INSERT INTO {table} ({names}) VALUES ({}) {suffix}", marks(columns.len()));
            each_row(connection, &sql, rows)
        }
    }
}

/// Updates rows found by `id` whose version is still the one before. The first columns are id and version.
/// Returns how many rows were written.
pub(crate) fn update_rows(
    connection: &mut Connection,
    table: &str,
    columns: &[&Column],
    mut rows: Vec<Vec<Value>>,
    versions_before: &[i64],
) -> Result<usize, StorageError> {
    if rows.is_empty() {
        return Ok(0);
    }
    let changed = &columns[1..];
    match connection {
        Connection::Postgres(_) => {
            let sets = changed.iter().map(|c| format!("{0} = u.{0}", c.name)).collect::<Vec<_>>().join(", ");
            let sql = format!(
                "UPDATE {table} AS t SET {sets} FROM UNNEST({}, ?::bigint[]) AS u ({}, version_before) \
                 WHERE t.id = u.id AND t.version = u.version_before",
                arrays(columns),
                names(columns, ""),
            );
            let mut binds = transpose(columns, rows);
            binds.push(Value::Ints(versions_before.iter().copied().map(Some).collect()));
            connection.execute(&sql, &binds)
        }
        Connection::Sqlite(_) => {
            let sets = changed.iter().map(|c| format!("{} = ?", c.name)).collect::<Vec<_>>().join(", ");
            let sql = format!("UPDATE {table} SET {sets} WHERE id = ? AND version = ?");
            for (row, version) in rows.iter_mut().zip(versions_before) {
                row.rotate_left(1);
                row.push(Value::Int(*version));
            }
            each_row(connection, &sql, rows)
        }
    }
}

fn each_row(connection: &mut Connection, sql: &str, rows: Vec<Vec<Value>>) -> Result<usize, StorageError> {
    let mut written = 0;
    for row in rows {
        written += connection.execute(sql, &row)?;
    }
    Ok(written)
}

fn names(columns: &[&Column], prefix: &str) -> String {
    columns.iter().map(|column| format!("{prefix}{}", column.name)).collect::<Vec<_>>().join(", ")
}

fn marks(count: usize) -> String {
    vec!["?"; count].join(", ")
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
fn transpose(columns: &[&Column], rows: Vec<Vec<Value>>) -> Vec<Value> {
    let mut arrays: Vec<Value> = columns
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
