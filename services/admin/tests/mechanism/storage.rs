//! The classification of database errors: only what can never succeed becomes a dead letter; the rest is retried.

use std::time::Duration;

use contracts::admin::v1::{ListDeadLettersRequest, RedriveDeadLettersRequest};
use engine::{storage::Connection, storage::Database, storage::StorageError};
use testkit::{TestCluster, on_servers};

use super::counter::{admin, counter, counting_cluster};

#[derive(Debug, PartialEq, Eq)]
enum Meaning {
    Unavailable,
    Lost,
    Stale,
    Refused,
}

fn meaning(error: &StorageError) -> Meaning {
    match error {
        StorageError::Unavailable(_) => Meaning::Unavailable,
        StorageError::Lost(_) => Meaning::Lost,
        StorageError::Stale(_) => Meaning::Stale,
        StorageError::Refused(_) | StorageError::Unreadable(_) => Meaning::Refused,
    }
}

/// A real database error: the statement that fails, with statements before it on another connection and on its own.
struct Case {
    meaning: Meaning,
    other: &'static str,
    before: &'static str,
    failing: &'static str,
}

const fn case(meaning: Meaning, other: &'static str, before: &'static str, failing: &'static str) -> Case {
    Case { meaning, other, before, failing }
}

const TABLE: &str = "CREATE TABLE things (id TEXT PRIMARY KEY NOT NULL, size BIGINT NOT NULL CHECK (size > 0), \
     of TEXT REFERENCES things (id)); INSERT INTO things VALUES ('a', 1, NULL)";
const INSERT: &str = "INSERT INTO things VALUES ('b', 1, NULL)";

const OF_EITHER: &[Case] = &[
    case(Meaning::Stale, "", "", "INSERT INTO things VALUES ('a', 1, NULL)"),
    case(Meaning::Refused, "", "", "INSERT INTO things VALUES ('b', NULL, NULL)"),
    case(Meaning::Refused, "", "", "INSERT INTO things VALUES ('b', 0, NULL)"),
    case(Meaning::Refused, "", "", "INSERT INTO things (nobody) VALUES ('connection')"),
    case(Meaning::Refused, "", "", "INSERT INTO nothing VALUES ('connection')"),
    case(Meaning::Refused, "", "", "INSERT INTO things VALUE"),
];

const OF_SQLITE: &[Case] = &[
    case(Meaning::Unavailable, "BEGIN IMMEDIATE", "PRAGMA busy_timeout = 20", INSERT),
    case(Meaning::Unavailable, "", "PRAGMA query_only = ON", INSERT),
    case(
        Meaning::Unavailable,
        "",
        "PRAGMA max_page_count = 1",
        "INSERT INTO things SELECT hex(randomblob(4000)), 1, NULL FROM counters UNION ALL \
         SELECT hex(randomblob(400000)), 1, NULL",
    ),
    case(Meaning::Refused, "", "PRAGMA foreign_keys = ON", "INSERT INTO things VALUES ('b', 1, 'c')"),
    case(Meaning::Refused, "", "", "INSERT INTO things VALUES (zeroblob(2000000000), 1, NULL)"),
];

const OF_POSTGRES: &[Case] = &[
    // 55P03, while the statement is parsed and while it runs.
    case(Meaning::Unavailable, "BEGIN; LOCK TABLE things", "SET lock_timeout = '20ms'", INSERT),
    case(
        Meaning::Unavailable,
        "BEGIN; UPDATE things SET size = 2",
        "SET lock_timeout = '20ms'",
        "UPDATE things SET size = 3",
    ),
    // 25006.
    case(Meaning::Unavailable, "", "SET default_transaction_read_only = on", INSERT),
    // 57014.
    case(Meaning::Unavailable, "", "SET statement_timeout = '20ms'", "SELECT pg_sleep(5)"),
    // 57P01.
    case(Meaning::Lost, "", "", "SELECT pg_terminate_backend(pg_backend_pid())"),
    case(Meaning::Stale, "", "", "DO $$ BEGIN RAISE deadlock_detected USING MESSAGE = 'deadlock detected'; END $$"),
    // 23503.
    case(Meaning::Refused, "", "", "INSERT INTO things VALUES ('b', 1, 'c')"),
    // 22P02, 22003, 22021, 22P05, 54000: without a position in the statement, because the values are bound.
    case(Meaning::Refused, "", "", "INSERT INTO things SELECT 'b', id::bigint, NULL FROM things"),
    case(Meaning::Refused, "", "", "INSERT INTO things SELECT 'b', size * 9223372036854775807 * 2, NULL FROM things"),
    case(Meaning::Refused, "", "", "SELECT convert_from('\\x00'::bytea, 'UTF8')"),
    case(Meaning::Refused, "", "", "SELECT convert_to(chr(44032), 'LATIN1')"),
    case(
        Meaning::Refused,
        "",
        "",
        "INSERT INTO things SELECT string_agg(md5(n::text), ''), 1, NULL FROM generate_series(1, 2000) n",
    ),
];

#[tokio::test]
async fn database_errors_are_classified() {
    let cluster = TestCluster::new(admin::platform(), vec![counter()]).await;
    let database = cluster.database("counter", "counter");
    let of_this = if on_servers() { OF_POSTGRES } else { OF_SQLITE };
    for Case { meaning: expected, other, before, failing } in OF_EITHER.iter().chain(of_this) {
        let mut fresh = database.connect().expect("a connection");
        fresh.batch("DROP TABLE IF EXISTS things").expect("dropped");
        fresh.batch(TABLE).expect("a table");
        let held = hold(&database, other);
        if !before.is_empty() {
            fresh.batch(before).expect("it can be set");
        }
        let error = fresh.execute(failing, &[]).expect_err(failing);
        assert_eq!(meaning(&error), *expected, "{failing}: {error:?}");
        drop((held, fresh));
    }
    cluster.finish().await;
}

/// A connection that holds a transaction, or a lock, until it is dropped.
fn hold(database: &Database, statements: &str) -> Connection {
    let mut connection = database.connect().expect("a connection");
    if !statements.is_empty() {
        if on_servers() {
            connection.batch("SET idle_in_transaction_session_timeout = 0").expect("it can be set");
        }
        connection.batch(statements).expect("it can be held");
    }
    connection
}

#[tokio::test]
async fn an_event_that_the_database_always_refuses_becomes_a_dead_letter_and_is_applied_when_redriven() {
    let (cluster, built) = counting_cluster().await;
    built.add("a", 1).await.expect("counted");
    cluster.settle().await;
    let rename = |from: &str, to: &str| {
        let mut connection = cluster.database("mirror", "mirror").connect().expect("a connection");
        connection.batch(&format!("ALTER TABLE mirrors RENAME COLUMN {from} TO {to}")).expect("renamed");
    };
    rename("applied", "hidden");
    built.add("b", 2).await.expect("counted");
    let mut admin = admin(&cluster);
    let start = std::time::Instant::now();
    while admin
        .list_dead_letters(ListDeadLettersRequest::default())
        .await
        .expect("a list")
        .into_inner()
        .dead_letters
        .is_empty()
    {
        assert!(start.elapsed() < Duration::from_secs(10), "the event is retried for ever");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    rename("hidden", "applied");
    let redriven = admin.redrive_dead_letters(RedriveDeadLettersRequest::default()).await.expect("redriven");
    assert_eq!(redriven.into_inner().applied_count, 1);
    assert_eq!(built.applied("b").await, [2]);
    cluster.finish().await;
}

#[tokio::test]
async fn a_locked_database_rejects_a_whole_batch_at_once_with_a_retry_delay() {
    let (cluster, built) = counting_cluster().await;
    // Before, the relay records the identity of its bus.
    cluster.settle().await;
    let database = cluster.database("counter", "counter");
    let held = hold(&database, if on_servers() { "BEGIN; LOCK TABLE counters" } else { "BEGIN IMMEDIATE" });
    let start = std::time::Instant::now();
    let ids: Vec<_> = (0..20).map(|index| format!("counter-{index}")).collect();
    let answers = futures::future::join_all(ids.iter().map(|id| built.add(id, 1))).await;
    for answer in answers {
        let error = answer.expect_err("the database is locked");
        assert_eq!(error.reason, "STORAGE_BUSY");
        assert!(error.retry_after.is_some() && error.is_transient());
    }
    // The lock timeout is 5 s: once for the first job, which may be alone in its batch, and about once for the others.
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
    drop(held);
    built.add("counter-0", 1).await.expect("counted");
    cluster.finish().await;
}

#[tokio::test]
async fn a_database_that_cannot_store_every_text_is_refused_at_the_start() {
    if !on_servers() {
        // SQLite stores every text.
        return;
    }
    let (cluster, _) = counting_cluster().await;
    let database = cluster.database("counter", "counter");
    let name = format!("latin-{}", jumun_core::name::new_id());
    let mut connection = database.connect().expect("a connection");
    let create = format!("CREATE DATABASE \"{name}\" ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0");
    connection.batch(&create).expect("created");
    let server = std::env::var("JUMUN_TEST_POSTGRES_URL").expect("servers");
    let (server, _) = server.rsplit_once('/').expect("a URL with a database");
    let url = format!("{server}/{name}").parse().expect("a URL");
    let migrations = counter().databases.remove(0).1;
    let error = Database::new("counter", url).migrate(&migrations).expect_err("an unsupported encoding");
    assert!(error.to_string().contains("has the encoding LATIN1"), "{error}");
    connection.batch(&format!("DROP DATABASE \"{name}\" WITH (FORCE)")).expect("dropped");
    cluster.finish().await;
}
