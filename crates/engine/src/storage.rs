//! Storage over diesel: one connection type for SQLite and PostgreSQL, one way to write many rows at once.
//!
//! SQL is written once with `?` for binds. Where the hot path gains from a dialect, it is decided here and nowhere else.

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

/// What can go wrong between us and a database.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The connection is gone; what was sent last may have happened or not.
    #[error("connection lost: {0}")]
    Lost(String),
    /// The database refuses for a while: locked, read-only, full, stopped by a timeout. Nothing was written, and the same
    /// work may succeed later.
    #[error("database unavailable: {0}")]
    Unavailable(String),
    /// A row is not the version that was read, or exists already: somebody else wrote it.
    #[error("stale {0}")]
    Stale(&'static str),
    /// The database refused the statement, and would refuse it each time.
    #[error(transparent)]
    Refused(diesel::result::Error),
    /// A stored row does not read back.
    #[error("unreadable row: {0}")]
    Unreadable(String),
}

impl StorageError {
    /// Whether the same work may succeed on another connection, later.
    pub(crate) fn is_outage(&self) -> bool {
        matches!(self, Self::Lost(_) | Self::Unavailable(_))
    }
}

impl From<StorageError> for Error {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Lost(cause) => {
                tracing::warn!(cause, "database unavailable");
                Error::new(&reasons::STORAGE_UNAVAILABLE, "the database does not answer")
            }
            StorageError::Unavailable(cause) => {
                tracing::warn!(cause, "database unavailable");
                Error::new(&reasons::STORAGE_BUSY, "the database refuses at present")
            }
            StorageError::Stale(_) => {
                Error::new(&reasons::CONCURRENT_CHANGE, "somebody else changed it at the same time")
            }
            error => Error::internal(error),
        }
    }
}
