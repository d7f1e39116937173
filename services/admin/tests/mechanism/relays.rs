//! The relays of one process share a bus: none may block another or itself, and a stalled one reports it.

use std::time::{Duration, Instant};

use contracts::admin::v1::{
    GetOutboxStatusRequest, admin_service_client::AdminServiceClient, get_outbox_status_response::Outbox,
};
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use engine::{storage::Database, storage::Value};
use rpc::GrpcStack;
use runtime::{Context, ContextBuilder};
use testkit::TestCluster;

use super::{
    counter::{Built, Counter, counter, counting_cluster},
    outbox::bus_that_is_down,
};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("tests/mechanism/migrations/counter");
const CONTEXTS: [&str; 4] = ["north", "east", "south", "west"];
/// More than the limit of unacknowledged messages of a JetStream client.
const EVENTS: i64 = 6_000;
const EVENTS_OF_A_BATCH: i64 = 500;

/// A context with events, to which no other subscribes.
fn publisher(name: &'static str) -> Context {
    let build = |builder: &mut ContextBuilder<'_>| builder.engine::<Counter>().map(drop);
    Context { name, calls: &[], databases: vec![(name, MIGRATIONS)], reasons: &[], build }
}

/// Writes unpublished events into an outbox, as if they had been committed while the bus was down.
fn fill(database: &Database) {
    let mut connection = database.connect().expect("a connection");
    let filled = connection.transaction(|connection| {
        for first in (1..=EVENTS).step_by(usize::try_from(EVENTS_OF_A_BATCH).expect("a small number")) {
            let numbers = first..first + EVENTS_OF_A_BATCH;
            let keys: Vec<_> = numbers.clone().map(|number| format!("[\"a\",{number}]")).collect();
            for number in numbers {
                let event =
                    "INSERT INTO events (aggregate, number, kind, payload, time) VALUES ('a', ?, 'Added', ?, 0)";
                connection.execute(event, &[number.into(), [8_u8, 1].as_slice().into()])?;
            }
            // Entries are sorted by their id, which begins with the time of their transaction.
            let unpublished = "INSERT INTO unpublished (batch, events, size, time) VALUES (?, ?, ?, 0)";
            let events = format!("[{}]", keys.join(","));
            connection
                .execute(unpublished, &[format!("{first:09}").into(), events.into(), Value::Int(EVENTS_OF_A_BATCH)])?;
        }
        Ok(())
    });
    filled.expect("events");
}

async fn outbox(stack: GrpcStack, context: &str) -> Outbox {
    let status = AdminServiceClient::new(stack).get_outbox_status(GetOutboxStatusRequest {}).await.expect("a status");
    let found = status.into_inner().outboxes.into_iter().find(|outbox| outbox.context == context);
    found.expect("the context's outbox")
}

/// Waits until the relay is stalled (true) or is not (false).
async fn until_stalled(stack: &GrpcStack, context: &str, stalled: bool) {
    let start = Instant::now();
    while outbox(stack.clone(), context).await.stalled_since_time.is_some() != stalled {
        assert!(start.elapsed() < Duration::from_secs(20), "stalled: {}", !stalled);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
#[ignore = "needs a broker: `make test` runs it"]
async fn relays_with_more_events_than_may_be_unacknowledged_do_not_block_each_other() {
    let mut cluster = TestCluster::new(admin::platform(), CONTEXTS.map(publisher).into()).await;
    cluster.restart_without(&CONTEXTS).await;
    CONTEXTS.iter().for_each(|context| fill(&cluster.database(context, context)));
    cluster.restart().await;
    cluster.settle().await;
    cluster.finish().await;
}

#[tokio::test]
#[ignore = "needs a broker: `make test` runs it"]
async fn a_relay_whose_bus_is_down_reports_since_when_it_is_stalled() {
    let (mut cluster, _) = counting_cluster().await;
    cluster.restart_without(&["counter"]).await;
    let mut replica = cluster.replica_without(&["mirror"], &bus_that_is_down().await).await;
    Built::last().add("a", 1).await.expect("commits need no bus");
    let stack = replica.stack();
    assert_eq!(outbox(stack.clone(), "counter").await.stalled_since_time, None);
    until_stalled(&stack, "counter", true).await;
    let since = outbox(stack, "counter").await.stalled_since_time.expect("stalled");
    assert!(since.seconds < cluster.now().to_timestamp().seconds, "{since}");
    replica.stop().await;
    cluster.restart().await;
    cluster.finish().await;
}

/// Consumers that apply the events of an aggregate in order would wait for ever, if more of them than a consumer may
/// hold came before their predecessors.
#[tokio::test]
#[ignore = "needs a broker: `make test` runs it"]
async fn new_events_are_published_after_those_that_waited() {
    let mut cluster = TestCluster::new(admin::platform(), vec![counter()]).await;
    cluster.restart_without(&["counter"]).await;
    fill(&cluster.database("counter", "counter"));
    let mut idle = cluster.broker().subscribe("counter", "idle").await.expect("a subscription");
    let mut process = cluster.replica_without(&[], cluster.bus()).await;
    Built::last().add("b", 1).await.expect("counted");
    for place in 0..=EVENTS {
        let delivery = idle.next().await.expect("a subscription").expect("a delivery");
        let is_new = delivery.envelope().expect("an envelope").aggregate == "b";
        assert_eq!(is_new, place == EVENTS, "event {place}");
        delivery.settle().await;
    }
    process.stop().await;
    cluster.restart().await;
    cluster.finish().await;
}
