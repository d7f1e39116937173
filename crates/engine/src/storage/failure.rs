//! What an error of a database means: gone, unavailable for a while, stale, or refused for good.
//!
//! Only what can never succeed may count as refused, because an event that meets it is put aside as a dead letter.
//!
//! diesel tells few SQLSTATEs and result codes apart (`DatabaseErrorKind`) and keeps the rest to itself, and its connections
//! give no access to the handle that would say. What it does not tell is read from the primary message, whose text goes with
//! the code: SQLite's never change with the language, and PostgreSQL's are English wherever the role may have it so (see
//! `Database::connect`). A message that is not known counts as passing on PostgreSQL, so that another language costs retries
//! and never a lost write; on SQLite, where the passing codes are few and have fixed texts, it counts as refused.

use diesel::result::{DatabaseErrorInformation, DatabaseErrorKind as Kind, Error};

use super::StorageError;

/// Texts of SQLite's result codes that pass by themselves or by an operator's act: BUSY, LOCKED, READONLY, FULL, NOMEM,
/// CANTOPEN, CORRUPT, NOTADB, INTERRUPT, ABORT, PROTOCOL, PERM, AUTH. Some go on with a name.
const SQLITE_PASSING: &[&str] = &[
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
/// IOERR: a COMMIT that ends with it may be in the log all the same.
const SQLITE_IO: &str = "disk I/O error";

/// How PostgreSQL's messages of passing errors begin that may come with a place in the statement, as refusals do:
/// 57014 and 55P03 (timeouts, locks), class 53 (memory, disk, connections), class 58 (files).
const POSTGRES_PASSING: &[&str] =
    &["canceling statement due to", "could not obtain lock", "out of memory", "out of shared memory", "could not "];
/// 40P01: run again at once, as after a serialization failure.
const POSTGRES_DEADLOCK: &str = "deadlock detected";
/// 57P01 to 57P05: the session ended, or none can begin.
const POSTGRES_LOST: &[&str] = &["terminating", "the database system is", "sorry, too many clients"];
/// What PostgreSQL's messages say of values that it never takes, and that come without a place in the statement: 22P05,
/// 22021, 22P02, 22003, 22001, 22008, 22012, 54000, 42804.
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
/// What libpq and poolers say of a connection that is gone, in words of their own.
const CONNECTION_LOST: &[&str] = &["connection", "shutting down", "SSL SYSCALL", "no more", "recovery mode"];

impl StorageError {
    /// What an error of SQLite means.
    pub(super) fn of_sqlite(error: Error) -> Self {
        Self::of(error, |info| match info.message() {
            message if message.starts_with(SQLITE_IO) => Some(Self::Lost(message.to_owned())),
            message => begins(message, SQLITE_PASSING).then(|| unavailable(info)),
        })
    }

    /// What an error of PostgreSQL means.
    pub(super) fn of_postgres(error: Error) -> Self {
        Self::of(error, |info| {
            let message = info.message();
            if message == POSTGRES_DEADLOCK {
                Some(Self::Stale("row"))
            } else if begins(message, POSTGRES_LOST) {
                Some(Self::Lost(message.to_owned()))
            } else if begins(message, POSTGRES_PASSING) {
                Some(unavailable(info))
            } else if is_about_a_place(info) || holds(message, POSTGRES_REFUSED) {
                None
            } else if holds(message, CONNECTION_LOST) {
                Some(Self::Lost(message.to_owned()))
            } else {
                Some(unavailable(info))
            }
        })
    }

    /// By diesel's kind, which comes from the code; `unknown` reads the others, and None there means refused.
    fn of(error: Error, unknown: impl Fn(&dyn DatabaseErrorInformation) -> Option<Self>) -> Self {
        let meaning = match &error {
            Error::BrokenTransactionManager => Some(Self::Lost("broken transaction".to_owned())),
            Error::DatabaseError(kind, info) => match kind {
                Kind::ClosedConnection => Some(Self::Lost(info.message().to_owned())),
                Kind::ReadOnlyTransaction => Some(unavailable(&**info)),
                // Another replica was first: run again, the job finds what it wrote.
                Kind::SerializationFailure | Kind::UniqueViolation => Some(Self::Stale("row")),
                Kind::Unknown => unknown(&**info),
                _ => None,
            },
            _ => None,
        };
        meaning.unwrap_or(Self::Refused(error))
    }
}

fn unavailable(info: &dyn DatabaseErrorInformation) -> StorageError {
    StorageError::Unavailable(info.message().to_owned())
}

/// Whether the error names a place in the statement, as parse errors do, or what in a table it violates.
fn is_about_a_place(info: &dyn DatabaseErrorInformation) -> bool {
    info.statement_position().is_some() || info.column_name().is_some() || info.constraint_name().is_some()
}

fn begins(message: &str, texts: &[&str]) -> bool {
    texts.iter().any(|text| message.starts_with(text))
}

fn holds(message: &str, texts: &[&str]) -> bool {
    texts.iter().any(|text| message.contains(text))
}
