//! A consumer that fails, or is slow, has its own lag: it holds up neither other consumers nor other aggregates.

use std::{
    collections::BTreeSet,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use engine::{
    Decision,
    storage::{Database, Field, Json},
};
use eventing::{Bus, EventEffect, LocalBus, Policy, decode};
use futures::future::join_all;
use jumun_core::{Error, name::new_id, reasons};
use runtime::{Context, ContextBuilder};
use testkit::TestCluster;

use super::counter::{Added, Built, IGNORED, Mirror, counter, counting_cluster, mirror};

const MIRROR: EmbeddedMigrations = embed_migrations!("tests/mechanism/migrations/mirror");
/// More aggregates than may wait for a retry.
const MANY: usize = 700;

/// Counters whose events the second consumer cannot apply now, and those for which its policy never returns.
static FAILING: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
static HANGING: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
/// Whether the consumer `stubborn` fails, and how often it was asked.
static IS_STUBBORN: AtomicBool = AtomicBool::new(true);
static ASKED: AtomicUsize = AtomicUsize::new(0);

fn contains(ids: &Mutex<BTreeSet<String>>, id: &str) -> bool {
    ids.lock().unwrap_or_else(PoisonError::into_inner).contains(id)
}

fn insert(ids: &Mutex<BTreeSet<String>>, id: &str) {
    ids.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned());
}

fn remove(ids: &Mutex<BTreeSet<String>>, id: &str) {
    ids.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
}

fn not_now() -> Error {
    Error::new(&reasons::STORAGE_UNAVAILABLE, "not now")
}

/// A context that mirrors counters, with a policy of its own.
fn consumer(name: &'static str, build: fn(&mut ContextBuilder<'_>) -> anyhow::Result<()>) -> Context {
    Context { name, calls: &[], databases: vec![(name, MIRROR)], reasons: &[], build }
}

fn record(id: String, by: i64) -> EventEffect<Mirror> {
    EventEffect::decide(id.clone(), move |mirror: Option<&Mirror>| {
        let mut applied = mirror.map(|mirror| mirror.applied.clone()).unwrap_or_default();
        applied.push(by);
        Decision::save(Mirror { id: id.clone(), applied })
    })
}

fn picky() -> Context {
    consumer("picky", |builder| {
        let engine = builder.engine()?;
        let policy: Policy<Mirror> = std::sync::Arc::new(|event| {
            Box::pin(async move {
                while contains(&HANGING, &event.aggregate) {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                if contains(&FAILING, &event.aggregate) {
                    return Err(not_now());
                }
                Ok(record(event.aggregate.clone(), decode::<Added>(&event)?.by))
            })
        });
        builder.subscribe("counter", &engine, &policy);
        Ok(())
    })
}

fn stubborn() -> Context {
    consumer("stubborn", |builder| {
        let engine = builder.engine()?;
        let policy: Policy<Mirror> = std::sync::Arc::new(|event| {
            Box::pin(async move {
                ASKED.fetch_add(1, SeqCst);
                if IS_STUBBORN.load(SeqCst) {
                    return Err(not_now());
                }
                Ok(record(event.aggregate.clone(), decode::<Added>(&event)?.by))
            })
        });
        builder.subscribe("counter", &engine, &policy);
        Ok(())
    })
}

async fn applied(database: &Database, id: &str) -> Vec<i64> {
    let id = id.to_owned();
    let read = database.read(move |connection| {
        let rows = connection.query("SELECT applied FROM mirrors WHERE id = ?", &[id.as_str().into()])?;
        rows.into_iter().next().map(|mut row| <Vec<i64> as Field<Json>>::read(&mut row)).transpose()
    });
    read.await.expect("readable mirrors").unwrap_or_default()
}

async fn until_applied(database: &Database, id: &str, expected: &[i64]) {
    let start = Instant::now();
    while applied(database, id).await != expected {
        assert!(start.elapsed() < Duration::from_secs(20), "{:?}, not {expected:?}", applied(database, id).await);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The value of a gauge on the metrics page.
async fn gauge(cluster: &TestCluster, series: &str) -> i64 {
    let request = http::Request::get("/metrics").body(tonic::body::Body::empty()).expect("a request");
    let response = tower::ServiceExt::oneshot(cluster.listener(), request).await.expect("a page");
    let page = http_body_util::BodyExt::collect(response.into_body()).await.expect("a body").to_bytes();
    let page = String::from_utf8_lossy(&page).into_owned();
    let line = page.lines().find_map(|line| line.strip_prefix(series)).unwrap_or_else(|| panic!("{series}:\n{page}"));
    line.trim().parse().expect("a number")
}

#[tokio::test]
async fn events_that_cannot_be_applied_now_are_applied_later_in_sequence_and_others_go_on() {
    let mut cluster = TestCluster::new(admin::platform(), vec![counter(), picky()]).await;
    let built = Built::last();
    let (failing, fine) = (new_id(), new_id());
    insert(&FAILING, &failing);
    for by in 1..=5 {
        built.add(&failing, by).await.expect("counted");
        built.add(&fine, by).await.expect("counted");
    }
    let picky = cluster.database("picky", "picky");
    until_applied(&picky, &fine, &[1, 2, 3, 4, 5]).await;
    assert_eq!(applied(&picky, &failing).await, [0_i64; 0]);
    // What waits for a retry survives a restart, and later events wait behind it.
    cluster.restart().await;
    Built::last().add(&failing, 6).await.expect("counted");
    Built::last().add(&fine, 6).await.expect("counted");
    let picky = cluster.database("picky", "picky");
    until_applied(&picky, &fine, &[1, 2, 3, 4, 5, 6]).await;
    assert_eq!(applied(&picky, &failing).await, [0_i64; 0]);
    remove(&FAILING, &failing);
    until_applied(&picky, &failing, &[1, 2, 3, 4, 5, 6]).await;
    Built::last().add(&failing, 7).await.expect("counted");
    until_applied(&picky, &failing, &[1, 2, 3, 4, 5, 6, 7]).await;
    cluster.finish().await;
}

#[tokio::test]
async fn two_processes_apply_what_waits_for_a_retry_once() {
    let cluster = TestCluster::new(admin::platform(), vec![counter(), picky()]).await;
    let built = Built::last();
    let bus = if testkit::on_servers() { cluster.bus().clone() } else { Bus::Local(LocalBus::default()) };
    let mut replica = cluster.replica_without(&[], &bus).await;
    let ids: Vec<_> = (0..5).map(|_| new_id()).collect();
    let picky = cluster.database("picky", "picky");
    for round in 0..3 {
        ids.iter().for_each(|id| insert(&FAILING, id));
        for by in 1..=5 {
            join_all(ids.iter().map(|id| built.add(id, round * 10 + by))).await;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        ids.iter().for_each(|id| remove(&FAILING, id));
        for by in 6..=10 {
            join_all(ids.iter().map(|id| built.add(id, round * 10 + by))).await;
        }
        for id in &ids {
            until_applied(&picky, id, &(1..=(round + 1) * 10).collect::<Vec<_>>()).await;
        }
    }
    replica.stop().await;
    cluster.finish().await;
}

#[tokio::test]
async fn a_policy_that_hangs_for_one_aggregate_does_not_hold_up_the_others() {
    let cluster = TestCluster::new(admin::platform(), vec![counter(), picky()]).await;
    let built = Built::last();
    let (hanging, fine) = (new_id(), new_id());
    insert(&HANGING, &hanging);
    built.add(&hanging, 1).await.expect("counted");
    built.add(&hanging, 2).await.expect("counted");
    for by in 1..=20 {
        built.add(&fine, by).await.expect("counted");
    }
    let picky = cluster.database("picky", "picky");
    until_applied(&picky, &fine, &(1..=20).collect::<Vec<_>>()).await;
    assert_eq!(applied(&picky, &hanging).await, [0_i64; 0]);
    remove(&HANGING, &hanging);
    until_applied(&picky, &hanging, &[1, 2]).await;
    cluster.finish().await;
}

#[tokio::test]
async fn a_consumer_that_always_fails_is_stalled_and_holds_up_no_other() {
    let cluster = TestCluster::new(admin::platform(), vec![counter(), mirror(), stubborn()]).await;
    let built = Built::last();
    let ids: Vec<_> = (0..MANY).map(|index| format!("counter-{index}")).collect();
    for round in 1..=2 {
        let answers = join_all(ids.iter().map(|id| built.add(id, round))).await;
        assert!(answers.iter().all(Result::is_ok));
    }
    for id in &ids {
        built.until_applied(id, &[1, 2]).await;
    }
    assert!(gauge(&cluster, "jumun_consumer_lag{consumer=\"stubborn-on-counter\"}").await > 0);
    assert_eq!(gauge(&cluster, "jumun_consumer_lag{consumer=\"mirror-on-counter\"}").await, 0);
    let start = Instant::now();
    while gauge(&cluster, "jumun_consumer_stalled_seconds{consumer=\"stubborn-on-counter\"}").await < 10 {
        assert!(start.elapsed() < Duration::from_secs(20), "it is not reported as stalled");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(gauge(&cluster, "jumun_consumer_stalled_seconds{consumer=\"mirror-on-counter\"}").await, 0);
    assert!(ASKED.load(SeqCst) < 100 * MANY, "it is asked again and again without a pause");
    IS_STUBBORN.store(false, SeqCst);
    let stubborn = cluster.database("stubborn", "stubborn");
    for id in &ids {
        until_applied(&stubborn, id, &[1, 2]).await;
    }
    cluster.finish().await;
}

#[tokio::test]
async fn what_a_consumer_ignores_makes_no_transaction_and_no_row() {
    let (cluster, built) = counting_cluster().await;
    if testkit::on_servers() {
        // A broker's consumer records what it ignores.
        return cluster.finish().await;
    }
    for _ in 0..50 {
        built.add("a", IGNORED).await.expect("counted");
    }
    cluster.settle().await;
    let mirror = cluster.database("mirror", "mirror");
    let stored = mirror.read(|connection| {
        let mut row =
            connection.query("SELECT (SELECT MAX(position) FROM positions), (SELECT COUNT(*) FROM inbox)", &[])?;
        let row = &mut row[0];
        Ok((row.int()?, row.int()?))
    });
    assert_eq!(stored.await.expect("readable"), (0, 0));
    built.add("a", 1).await.expect("counted");
    cluster.settle().await;
    assert_eq!(built.applied("a").await, [1]);
    let position = mirror.read(|connection| connection.query("SELECT MAX(position) FROM positions", &[])?[0].int());
    assert_eq!(position.await.expect("readable"), 51);
    cluster.finish().await;
}
