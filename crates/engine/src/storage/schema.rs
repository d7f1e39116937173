//! Reads the tables and columns of a database from its catalogue.

use std::collections::BTreeMap;

use super::{Connection, Kind, StorageError};

/// Prefixes of the tables of SQLite and of diesel.
const SYSTEM_PREFIXES: [&str; 2] = ["sqlite_", "__diesel_"];

/// The names of the tables that the migrations created in a connection's schema.
pub fn tables(connection: &mut Connection) -> Result<Vec<String>, StorageError> {
    let sql = match connection {
        Connection::Sqlite(_) => "SELECT name FROM sqlite_master WHERE type = 'table'",
        Connection::Postgres(_) => {
            "SELECT table_name::text FROM information_schema.tables WHERE table_schema = current_schema()"
        }
    };
    let names = connection.query(sql, &[])?.into_iter().map(|mut row| row.text());
    let is_ours = |name: &String| !SYSTEM_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    names.filter(|name| name.as_ref().map_or(true, is_ours)).collect()
}

/// The columns of a table, and their kinds.
pub fn columns_of(connection: &mut Connection, table: &str) -> Result<BTreeMap<String, Kind>, StorageError> {
    let sql = match connection {
        Connection::Sqlite(_) => "SELECT name, type FROM pragma_table_info(?)",
        Connection::Postgres(_) => {
            "SELECT column_name::text, data_type::text FROM information_schema.columns \
             WHERE table_schema = current_schema() AND table_name = ?"
        }
    };
    let column = |(name, kind): (String, String)| match kind.to_ascii_uppercase().as_str() {
        "TEXT" => Ok((name, Kind::Text)),
        "BIGINT" | "INTEGER" => Ok((name, Kind::Int)),
        "BLOB" | "BYTEA" => Ok((name, Kind::Bytes)),
        _ => Err(StorageError::Unreadable(format!("{table}.{name} is of the unknown type {kind}"))),
    };
    connection.query(sql, &[table.into()])?.into_iter().map(|mut row| column((row.text()?, row.text()?))).collect()
}
