//! Storage with diesel: one connection type for SQLite and PostgreSQL, and bulk writes for both.
//!
//! SQL is written once, with `?` for binds. Only this module uses dialects, where they make the hot path faster.

use jumun_core::{Error, reasons};

mod connection;
mod database;
mod failure;
mod record;
mod schema;
mod table;

pub use connection::{Connection, Row, Value};
pub use database::{Database, DatabaseUrl};
pub use record::{Columns, Field, Json, Record, columns, count, kinds, select};
pub(crate) use record::{insert, json_column, update};
pub use schema::{columns_of, tables};
pub use table::{Column, Kind, Table};
pub(crate) use table::{differing, insert_rows, update_rows};

/// An error of the database.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The connection was lost; the last statement may or may not have been executed.
    #[error("connection lost: {0}")]
    Lost(String),
    /// The database is temporarily unavailable: locked, read-only or full, or a statement timed out. Nothing was
    /// written, and a retry may succeed.
    #[error("database unavailable: {0}")]
    Unavailable(String),
    /// A row no longer has the version that was read, or already exists: another writer was faster.
    #[error("stale {0}")]
    Stale(&'static str),
    /// The database rejected the statement, and would reject it every time.
    #[error(transparent)]
    Refused(diesel::result::Error),
    /// A stored row cannot be decoded.
    #[error("unreadable row: {0}")]
    Unreadable(String),
}

impl StorageError {
    /// Whether the same work may succeed later, on another connection.
    pub(crate) fn is_outage(&self) -> bool {
        matches!(self, Self::Lost(_) | Self::Unavailable(_))
    }
}

impl From<StorageError> for Error {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Lost(cause) => {
                tracing::warn!(cause, "database unavailable");
                Error::new(&reasons::STORAGE_UNAVAILABLE, "the database does not respond")
            }
            StorageError::Unavailable(cause) => {
                tracing::warn!(cause, "database unavailable");
                Error::new(&reasons::STORAGE_BUSY, "the database is temporarily unavailable")
            }
            StorageError::Stale(_) => {
                Error::new(&reasons::CONCURRENT_CHANGE, "another request changed it at the same time")
            }
            error => Error::internal(error),
        }
    }
}
