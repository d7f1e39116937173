//! Relays of one process share a bus, and none may keep another, or itself, from what it waits for.

use std::time::{Duration, Instant};

use contracts::admin::v1::{
    GetOutboxStatusRequest, admin_service_client::AdminServiceClient, get_outbox_status_response::Outbox,
};
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use kit::{
    Context, Edge, Unit,
    storage::{Database, Value},
    world::{World, on_servers},
};

use super::{
    counter::{Built, Counter, counter, counting_world},
    outbox::bus_that_is_away,
};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("tests/kit/migrations/counter");
const CONTEXTS: [&str; 4] = ["north", "east", "south", "west"];
/// More than a JetStream context lets wait for an acknowledgement.
const EVENTS: i64 = 6_000;
const EVENTS_OF_A_BATCH: i64 = 500;

/// A context that announces, and that nobody hears.
fn announcing(name: &'static str) -> Context {
    let build = |unit: &mut Unit<'_>| unit.engine::<Counter>().map(drop);
    Context { name, calls: &[], databases: vec![(name, MIGRATIONS)], reasons: &[], build }
}

/// Writes unpublished events into an outbox, as if they had been committed while the bus was away.
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
            let waits = "INSERT INTO unpublished (batch, events, size, time) VALUES (?, ?, ?, 0)";
            let events = format!("[{}]", keys.join(","));
            connection.execute(waits, &[format!("{first:05}").into(), events.into(), Value::Int(EVENTS_OF_A_BATCH)])?;
        }
        Ok(())
    });
    filled.expect("events");
}

async fn outbox(edge: Edge, context: &str) -> Outbox {
    let status = AdminServiceClient::new(edge).get_outbox_status(GetOutboxStatusRequest {}).await.expect("a status");
    let found = status.into_inner().outboxes.into_iter().find(|outbox| outbox.context == context);
    found.expect("the context's outbox")
}

/// Waits until a relay is stalled, or not.
async fn until_stalled(edge: &Edge, context: &str, stalled: bool) {
    let start = Instant::now();
    while outbox(edge.clone(), context).await.stalled_since_time.is_some() != stalled {
        assert!(start.elapsed() < Duration::from_secs(20), "stalled: {}", !stalled);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn relays_that_have_more_to_publish_than_may_be_unacknowledged_do_not_block_each_other() {
    let mut world = World::new(CONTEXTS.map(announcing).into()).await;
    world.restart_without(&CONTEXTS).await;
    CONTEXTS.iter().for_each(|context| fill(&world.database(context, context)));
    world.restart().await;
    world.settle().await;
    world.finish().await;
}

#[tokio::test]
async fn a_relay_whose_bus_is_away_says_since_when_it_is_stalled() {
    let (mut world, _) = counting_world().await;
    world.restart_without(&["counter"]).await;
    let mut replica = world.replica_without(&["mirror"], &bus_that_is_away().await).await;
    Built::last().add("a", 1).await.expect("commits need no bus");
    let edge = replica.edge();
    assert_eq!(outbox(edge.clone(), "counter").await.stalled_since_time, None);
    until_stalled(&edge, "counter", true).await;
    let since = outbox(edge, "counter").await.stalled_since_time.expect("stalled");
    assert!(since.seconds < world.now().to_timestamp().seconds, "{since}");
    replica.stop().await;
    world.restart().await;
    world.finish().await;
}

#[tokio::test]
async fn a_relay_whose_consumer_settles_nothing_is_stalled_until_it_does() {
    if on_servers() {
        // A broker acknowledges what it has stored, whoever settles it.
        return;
    }
    let world = World::new(vec![counter()]).await;
    let mut silent = world.bus().subscribe("counter", "silent").await.expect("a subscription");
    Built::last().add("a", 1).await.expect("counted");
    let held = silent.next().await.expect("a subscription").expect("a delivery");
    until_stalled(&world.channel(), "counter", true).await;
    held.settle().await;
    until_stalled(&world.channel(), "counter", false).await;
    world.finish().await;
}
