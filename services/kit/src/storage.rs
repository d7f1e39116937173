//! Storage over diesel: one connection type for SQLite and PostgreSQL, one way to write many rows at once.
//!
//! SQL is written once with `?` for binds. Where the hot path gains from a dialect, it is decided here and nowhere else.

mod connection;
mod database;
mod failure;
mod table;

pub use connection::{Connection, Row, Value};
pub use database::{Database, DatabaseUrl, without_password};
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
