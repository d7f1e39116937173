//! The database of one context: its URL, connections, reads and migrations.

use std::{
    collections::{HashSet, VecDeque},
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    str::FromStr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

// Needed only for its build: libpq links the OpenSSL that it compiles.
#[cfg(feature = "postgres-tls")]
use openssl_sys as _;

use diesel::{Connection as _, migration::MigrationSource, pg::PgConnection, sqlite::SqliteConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use ring::hmac;
use tokio::sync::{OnceCell, oneshot};

use jumun_core::{Error, task, url::without_password};

use super::{Connection, StorageError};

const SQLITE_MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
const POSTGRES_MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/postgres");

/// Maximum number of concurrent readers per database.
const MAX_READERS: usize = 4;
/// Timeout of a connection attempt to a PostgreSQL server, in seconds.
const POSTGRES_CONNECT_TIMEOUT_S: u64 = 3;
/// Every statement uses a key, and scans are disabled: prepared statements keep their plans, and a plan made while the
/// tables were empty would scan them forever. Sessions idle in a transaction for 1 s are ended, so that their locks
/// cannot block other replicas; the writer never waits between the statements of a transaction. JIT is off, because
/// compiling a short statement costs more than running it, and an unavoidable scan would look expensive enough for it.
const POSTGRES_SETTINGS: &str = "SET statement_timeout = '30s'; SET lock_timeout = '5s'; \
     SET idle_in_transaction_session_timeout = '1s'; \
     SET client_min_messages = 'warning'; SET jit = off; SET enable_seqscan = off; SET enable_hashjoin = off; \
     SET enable_mergejoin = off;";
/// busy_timeout comes first, because changing the journal mode can already meet a lock. With a checkpoint per 16 MB of
/// WAL, a page that changes often is written to the file once per checkpoint, and the WAL, which is overwritten from
/// its start, does not grow, which makes commits cheap. The cache is limited to 8 MB, because a commit may visit every
/// cached page.
const SQLITE_SETTINGS: &str = "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
     PRAGMA wal_autocheckpoint = 4096; PRAGMA cache_size = -8192;";
const SQLITE_READER_SETTINGS: &str = "PRAGMA cache_size = -1024;";
/// English messages, from which `failure` reads what diesel does not expose. Only some roles may set it.
const POSTGRES_LANGUAGE: &str = "SET lc_messages TO 'C'";
/// The encoding that can represent every text.
const POSTGRES_ENCODING: &str = "UTF8";
/// The advisory lock of migrations, so that replicas that start together migrate one after another.
const MIGRATION_LOCK: i64 = 0x006a_756d_756e;

/// The URL of a database: `sqlite://PATH` or `postgres://…`. Displayed without its password.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A file.
    Sqlite(PathBuf),
    /// A server.
    Postgres(String),
}

impl FromStr for DatabaseUrl {
    type Err = String;

    fn from_str(url: &str) -> Result<Self, String> {
        if let Some(path) = url.strip_prefix("sqlite://").filter(|path| !path.is_empty()) {
            Ok(Self::Sqlite(PathBuf::from(path)))
        } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            if needs_tls(url) && !cfg!(feature = "postgres-tls") {
                return Err(
                    "this build does not support TLS to PostgreSQL: build it with `--features postgres-tls`, or omit \
                            sslmode and use a private network"
                        .to_owned(),
                );
            }
            Ok(Self::Postgres(url.to_owned()))
        } else {
            Err("a database URL is sqlite://PATH or postgres://USER@HOST/DATABASE".to_owned())
        }
    }
}

/// Whether a PostgreSQL URL requires TLS.
fn needs_tls(url: &str) -> bool {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    query
        .split('&')
        .filter_map(|pair| pair.strip_prefix("sslmode="))
        .any(|mode| matches!(mode, "require" | "verify-ca" | "verify-full"))
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
            Self::Postgres(url) => f.write_str(&without_password(url)),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A read, which answers its caller.
type Read = Box<dyn FnOnce(&Database) + Send>;

/// The reads of a database that wait for a thread, and the number of threads that run them.
#[derive(Default)]
struct Reads {
    waiting: VecDeque<Read>,
    threads: usize,
}

impl Reads {
    /// Adds a read; returns whether it needs one more thread.
    fn push(&mut self, read: Read) -> bool {
        self.waiting.push_back(read);
        let needs_thread = self.threads < MAX_READERS;
        self.threads += usize::from(needs_thread);
        needs_thread
    }

    /// The next read; if there is none, the thread ends.
    fn pop(&mut self) -> Option<Read> {
        let read = self.waiting.pop_front();
        self.threads -= usize::from(read.is_none());
        read
    }
}

/// The database of one context. On PostgreSQL each context has its own schema, so that contexts can share a server.
#[derive(Clone)]
pub struct Database(Arc<Inner>);

struct Inner {
    schema: String,
    url: DatabaseUrl,
    idle: Mutex<Vec<Connection>>,
    reads: Mutex<Reads>,
    /// SQLite allows one writer at a time. Waiting for this lock is fair and ends at once, whereas SQLite's busy
    /// handler sleeps.
    writing: Mutex<()>,
    page_key: OnceCell<hmac::Key>,
}

impl Database {
    /// A database that is not opened yet.
    pub fn new(schema: impl Into<String>, url: DatabaseUrl) -> Self {
        Self(Arc::new(Inner {
            schema: schema.into(),
            url,
            idle: Mutex::default(),
            reads: Mutex::default(),
            writing: Mutex::default(),
            page_key: OnceCell::new(),
        }))
    }

    /// The name of the context, which is also the name of the schema.
    pub fn schema(&self) -> &str {
        &self.0.schema
    }

    /// Opens a connection for writing.
    pub fn connect(&self) -> Result<Connection, StorageError> {
        let lost = |error: diesel::ConnectionError| StorageError::Lost(error.to_string());
        match &self.0.url {
            DatabaseUrl::Sqlite(path) => {
                let path = path.to_string_lossy();
                let mut connection = Connection::Sqlite(SqliteConnection::establish(&path).map_err(lost)?);
                connection.batch(SQLITE_SETTINGS)?;
                Ok(connection)
            }
            DatabaseUrl::Postgres(url) => {
                let timeout = format!("connect_timeout={POSTGRES_CONNECT_TIMEOUT_S}");
                let join = if url.contains('?') { '&' } else { '?' };
                let url = if url.contains("connect_timeout") { url.clone() } else { format!("{url}{join}{timeout}") };
                let mut connection = Connection::Postgres(PgConnection::establish(&url).map_err(lost)?);
                // Optional: messages in another language count as transient errors.
                let _ = connection.batch(POSTGRES_LANGUAGE);
                connection.batch(&format!("{POSTGRES_SETTINGS} SET search_path TO \"{}\";", self.0.schema))?;
                Ok(connection)
            }
        }
    }

    /// Opens a connection for reading: it finds most pages in the cache of the system, so its own is small.
    fn connect_to_read(&self) -> Result<Connection, StorageError> {
        let mut connection = self.connect()?;
        if let Connection::Sqlite(_) = connection {
            connection.batch(SQLITE_READER_SETTINGS)?;
        }
        Ok(connection)
    }

    /// Waits for the write lock of a SQLite database; None on PostgreSQL, which needs none.
    pub(crate) fn lock_writing(&self) -> Option<MutexGuard<'_, ()>> {
        matches!(self.0.url, DatabaseUrl::Sqlite(_))
            .then(|| self.0.writing.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Runs a read on a thread of the blocking pool, with its own connection. It may run twice, or not at all if the
    /// caller stops waiting.
    pub async fn read<T: Send + 'static>(
        &self,
        mut work: impl FnMut(&mut Connection) -> Result<T, StorageError> + Send + 'static,
    ) -> Result<T, Error> {
        let (answer, answered) = oneshot::channel();
        let read = move |database: &Self| {
            if answer.is_closed() {
                return;
            }
            let result = database.read_blocking(&mut work).or_else(|error| match error {
                // Idle connections may have been lost meanwhile. Repeating a read is safe.
                StorageError::Lost(_) => {
                    database.idle().clear();
                    database.read_blocking(&mut work)
                }
                error => Err(error),
            });
            // It fails only if the caller stopped waiting.
            let _ = answer.send(result);
        };
        if self.reads().push(Box::new(read)) {
            let database = self.clone();
            task::spawn_blocking(move || database.run_reads());
        }
        answered.await.map_err(Error::internal)?.map_err(Error::from)
    }

    /// Runs the waiting reads, one after another: a thread that serves many of them is woken once.
    fn run_reads(&self) {
        loop {
            let Some(read) = self.reads().pop() else { return };
            // A read that panics fails only its own caller.
            let _ = catch_unwind(AssertUnwindSafe(|| read(self)));
        }
    }

    fn reads(&self) -> MutexGuard<'_, Reads> {
        self.0.reads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The key of the HMAC in page tokens.
    pub(crate) async fn page_key(&self) -> Result<&hmac::Key, Error> {
        let read = || async {
            let key =
                self.read(|connection| connection.query("SELECT key FROM page_key", &[])?.remove(0).bytes()).await?;
            Ok(hmac::Key::new(hmac::HMAC_SHA256, &key))
        };
        self.0.page_key.get_or_try_init(read).await
    }

    fn read_blocking<T>(
        &self,
        work: &mut impl FnMut(&mut Connection) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        let idle = self.idle().pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => self.connect_to_read()?,
        };
        let result = work(&mut connection);
        if !result.as_ref().is_err_and(StorageError::is_outage) {
            self.idle().push(connection);
        }
        result
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Applies pending migrations: the engine's, then the context's.
    pub fn migrate(&self, migrations: &EmbeddedMigrations) -> anyhow::Result<()> {
        if let DatabaseUrl::Sqlite(path) = &self.0.url {
            std::fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
        }
        let mut connection = self.connect()?;
        self.require_encoding(&mut connection)?;
        if matches!(connection, Connection::Postgres(_)) {
            let schema = self.schema();
            connection.batch(&format!(
                "SELECT pg_advisory_lock({MIGRATION_LOCK}); CREATE SCHEMA IF NOT EXISTS \"{schema}\";"
            ))?;
        }
        let run = match &mut connection {
            Connection::Sqlite(connection) => run_migrations(connection, SQLITE_MIGRATIONS, migrations),
            Connection::Postgres(connection) => run_migrations(connection, POSTGRES_MIGRATIONS, migrations),
        };
        run.map_err(|error| anyhow::anyhow!("cannot migrate {} at {}: {error}", self.schema(), self.0.url))
    }

    /// Fails if a migration is pending. It only reads, so the role does not have to own the tables.
    pub fn require_migrated(&self, migrations: &EmbeddedMigrations) -> anyhow::Result<()> {
        let mut connection = self.connect()?;
        self.require_encoding(&mut connection)?;
        let own = match &connection {
            Connection::Sqlite(_) => SQLITE_MIGRATIONS,
            Connection::Postgres(_) => POSTGRES_MIGRATIONS,
        };
        let done = connection.query("SELECT version FROM __diesel_schema_migrations", &[]).map_or_else(
            |error| if error.is_outage() { Err(error) } else { Ok(HashSet::new()) },
            |rows| rows.into_iter().map(|mut row| row.text()).collect(),
        )?;
        let mut wanted = versions(&own)?;
        wanted.extend(versions(migrations)?);
        if let Some(lacking) = wanted.into_iter().find(|version| !done.contains(version)) {
            anyhow::bail!("{self:?} lacks the migration {lacking}: run `jumun migrate`");
        }
        Ok(())
    }

    /// Fails if the database cannot store every text: a row with an unsupported character would be rejected forever.
    fn require_encoding(&self, connection: &mut Connection) -> anyhow::Result<()> {
        if let Connection::Postgres(_) = connection {
            let encoding = connection.query("SHOW server_encoding", &[])?.remove(0).text()?;
            anyhow::ensure!(
                encoding == POSTGRES_ENCODING,
                "{self:?} has the encoding {encoding}, which cannot store every text: create the database with \
                 ENCODING '{POSTGRES_ENCODING}'"
            );
        }
        Ok(())
    }
}

/// The versions of migrations, which are the same for both databases.
fn versions(migrations: &EmbeddedMigrations) -> anyhow::Result<Vec<String>> {
    let migrations = MigrationSource::<diesel::sqlite::Sqlite>::migrations(migrations);
    let migrations = migrations.map_err(|error| anyhow::anyhow!("cannot read migrations: {error}"))?;
    Ok(migrations.iter().map(|migration| migration.name().version().to_string()).collect())
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.0.schema, self.0.url)
    }
}

fn run_migrations<DB: diesel::backend::Backend>(
    connection: &mut impl MigrationHarness<DB>,
    own: EmbeddedMigrations,
    context: &EmbeddedMigrations,
) -> diesel::migration::Result<()> {
    connection.run_pending_migrations(own)?;
    connection.run_pending_migrations(EmbeddedSource(context))?;
    Ok(())
}

/// Borrowed migrations: diesel takes an owned source.
struct EmbeddedSource<'a>(&'a EmbeddedMigrations);

impl<DB: diesel::backend::Backend> MigrationSource<DB> for EmbeddedSource<'_> {
    fn migrations(&self) -> diesel::migration::Result<Vec<Box<dyn diesel::migration::Migration<DB>>>> {
        self.0.migrations()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_two_kinds_are_urls() {
        assert!("mysql://h/db".parse::<DatabaseUrl>().is_err());
        for mode in ["require", "verify-ca", "verify-full"] {
            let url = format!("postgres://h/db?connect_timeout=1&sslmode={mode}");
            assert_eq!(url.parse::<DatabaseUrl>().is_ok(), cfg!(feature = "postgres-tls"), "{mode}");
        }
        assert!("postgres://h/db?sslmode=prefer".parse::<DatabaseUrl>().is_ok());
        assert!("sqlite://".parse::<DatabaseUrl>().is_err());
        assert_eq!("sqlite://a/b.db".parse(), Ok(DatabaseUrl::Sqlite("a/b.db".into())));
    }
}
