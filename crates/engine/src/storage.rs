//! Storage over diesel: one connection type for SQLite and PostgreSQL, one way to write many rows at once.
//!
//! SQL is written once with `?` for binds. Where the hot path gains from a dialect, it is decided here and nowhere else.

use jumun_core::{Error, reasons};

mod connection;
mod database;
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
    /// A row is not the version that was read, or exists already: somebody else wrote it.
    #[error("stale {0}")]
    Stale(&'static str),
    /// The database refused the statement.
    #[error(transparent)]
    Refused(diesel::result::Error),
    /// A stored row does not read back.
    #[error("unreadable row: {0}")]
    Unreadable(String),
}

impl From<diesel::result::Error> for StorageError {
    fn from(error: diesel::result::Error) -> Self {
        use diesel::result::{DatabaseErrorKind, Error};
        match error {
            Error::DatabaseError(DatabaseErrorKind::ClosedConnection, info) => Self::Lost(info.message().to_owned()),
            Error::BrokenTransactionManager => Self::Lost("broken transaction".to_owned()),
            // libpq reports most broken connections as an unknown error; only its words tell.
            Error::DatabaseError(DatabaseErrorKind::Unknown, info) if is_lost(info.message()) => {
                Self::Lost(info.message().to_owned())
            }
            // Another replica was first: run again, the job finds what it wrote.
            Error::DatabaseError(DatabaseErrorKind::SerializationFailure | DatabaseErrorKind::UniqueViolation, _) => {
                Self::Stale("row")
            }
            error => Self::Refused(error),
        }
    }
}

fn is_lost(message: &str) -> bool {
    ["connection", "terminating", "shutting down", "starting up", "SSL SYSCALL", "no more", "recovery mode"]
        .iter()
        .any(|words| message.contains(words))
}

impl From<StorageError> for Error {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Lost(cause) => {
                tracing::warn!(cause, "database unavailable");
                Error::new(&reasons::STORAGE_UNAVAILABLE, "the database does not answer")
            }
            StorageError::Stale(_) => {
                Error::new(&reasons::CONCURRENT_CHANGE, "somebody else changed it at the same time")
            }
            error => Error::internal(error),
        }
    }
}

