//! Classifies database errors: connection lost, temporarily unavailable, stale, or rejected permanently.
//!
//! Only an error that can never succeed may count as rejected permanently, because an event that meets it becomes a
//! dead letter.
//!
//! diesel distinguishes few SQLSTATEs and result codes (`DatabaseErrorKind`), and its connections give no access to the
//! handle that has the others. They are read from the primary message, whose text follows from the code: SQLite's
//! messages are always English, and PostgreSQL's are if the role may set the language (see `Database::connect`). An
//! unknown message of PostgreSQL counts as transient, so that another language costs retries and never a lost write; an
//! unknown message of SQLite, whose transient codes are few and have fixed texts, counts as rejected.

use diesel::result::{DatabaseErrorInformation, DatabaseErrorKind as Kind, Error};

use super::StorageError;

/// The beginnings of the messages of SQLite's result codes that end by themselves or when an operator acts: BUSY,
/// LOCKED, READONLY, FULL, NOMEM, CANTOPEN, CORRUPT, NOTADB, INTERRUPT, ABORT, PROTOCOL, PERM, AUTH.
const SQLITE_TRANSIENT: &[&str] = &[
    "database is locked",
    "database table is locked",
    "database schema is locked",
    "attempt to write a readonly database",
    "database or disk is full",
    "out of memory",
    "unable to open database",
    "database disk image is malformed",
    "file is not a database",
    "interrupted",
    "query aborted",
    "locking protocol",
    "access permission denied",
    "authorization denied",
];
/// IOERR: a COMMIT that fails with it may be in the WAL nevertheless.
const SQLITE_IO: &str = "disk I/O error";

/// The beginnings of PostgreSQL's messages of transient errors that may have a position in the statement, as rejections
/// do: 57014 and 55P03 (timeouts, locks), class 53 (memory, disk, connections), class 58 (files).
const POSTGRES_TRANSIENT: &[&str] =
    &["canceling statement due to", "could not obtain lock", "out of memory", "out of shared memory", "could not "];
/// 40P01: retried at once, like a serialization failure.
const POSTGRES_DEADLOCK: &str = "deadlock detected";
/// 57P01 to 57P05: the session ended, or none can start.
const POSTGRES_LOST: &[&str] = &["terminating", "the database system is", "sorry, too many clients"];
/// Parts of PostgreSQL's messages about values that it always rejects, and that have no position in the statement:
/// 22P05, 22021, 22P02, 22003, 22001, 22008, 22012, 54000, 42804.
const POSTGRES_REFUSED: &[&str] = &[
    "has no equivalent in encoding",
    "invalid byte sequence for encoding",
    "invalid input syntax for type",
    "out of range",
    "value too long for type",
    "division by zero",
    "exceeds btree version",
    "index row requires",
    "row is too big",
    "invalid memory alloc request size",
    "unsupported Unicode escape sequence",
];
/// Parts of the messages of libpq and of poolers about a lost connection.
const CONNECTION_LOST: &[&str] = &["connection", "shutting down", "SSL SYSCALL", "no more", "recovery mode"];

impl StorageError {
    /// Classifies an error of SQLite.
    pub(super) fn of_sqlite(error: Error) -> Self {
        Self::of(error, |info| match info.message() {
            message if message.starts_with(SQLITE_IO) => Some(Self::Lost(message.to_owned())),
            message => starts_with_any(message, SQLITE_TRANSIENT).then(|| unavailable(info)),
        })
    }

    /// Classifies an error of PostgreSQL.
    pub(super) fn of_postgres(error: Error) -> Self {
        Self::of(error, |info| {
            let message = info.message();
            if message == POSTGRES_DEADLOCK {
                Some(Self::Stale("row"))
            } else if starts_with_any(message, POSTGRES_LOST) {
                Some(Self::Lost(message.to_owned()))
            } else if starts_with_any(message, POSTGRES_TRANSIENT) {
                Some(unavailable(info))
            } else if names_an_object(info) || contains_any(message, POSTGRES_REFUSED) {
                None
            } else if contains_any(message, CONNECTION_LOST) {
                Some(Self::Lost(message.to_owned()))
            } else {
                Some(unavailable(info))
            }
        })
    }

    /// Classifies by diesel's kind, which comes from the code; `unknown` classifies the other errors, where None means
    /// rejected.
    fn of(error: Error, unknown: impl Fn(&dyn DatabaseErrorInformation) -> Option<Self>) -> Self {
        let class = match &error {
            Error::BrokenTransactionManager => Some(Self::Lost("broken transaction".to_owned())),
            Error::DatabaseError(kind, info) => match kind {
                Kind::ClosedConnection => Some(Self::Lost(info.message().to_owned())),
                Kind::ReadOnlyTransaction => Some(unavailable(&**info)),
                // Another replica was faster: the job runs again and finds what it wrote.
                Kind::SerializationFailure | Kind::UniqueViolation => Some(Self::Stale("row")),
                Kind::Unknown => unknown(&**info),
                _ => None,
            },
            _ => None,
        };
        class.unwrap_or(Self::Refused(error))
    }
}

fn unavailable(info: &dyn DatabaseErrorInformation) -> StorageError {
    StorageError::Unavailable(info.message().to_owned())
}

/// Whether the error names a position in the statement, as syntax errors do, or the column or constraint that it
/// violates.
fn names_an_object(info: &dyn DatabaseErrorInformation) -> bool {
    info.statement_position().is_some() || info.column_name().is_some() || info.constraint_name().is_some()
}

fn starts_with_any(message: &str, texts: &[&str]) -> bool {
    texts.iter().any(|text| message.starts_with(text))
}

fn contains_any(message: &str, texts: &[&str]) -> bool {
    texts.iter().any(|text| message.contains(text))
}
