//! The world itself: it leaves nothing unnoticed.

use std::time::Duration;

use jumun_core::name::new_id;

use super::counter::{Built, counting_world, poison};

#[tokio::test]
async fn the_clock_stands_until_it_is_moved_and_survives_a_restart() {
    let (mut world, _) = counting_world().await;
    let start = world.now();
    world.settle().await;
    assert_eq!(world.now(), start);
    world.advance(Duration::from_secs(3600)).await;
    world.restart().await;
    assert_eq!(world.now().since(start), Duration::from_secs(3600));
    world.finish().await;
}

#[tokio::test]
async fn worlds_share_nothing() {
    let (one, in_one) = counting_world().await;
    let (other, in_other) = counting_world().await;
    in_one.add("a", 1).await.expect("counted");
    one.settle().await;
    other.settle().await;
    assert_eq!((in_other.value("a").await, in_other.heard("a").await), (0, vec![]));
    one.finish().await;
    other.finish().await;
}

#[tokio::test]
#[should_panic(expected = "a test ends with `cluster.finish().await`")]
async fn a_world_that_is_dropped_unfinished_panics() {
    let (world, _) = counting_world().await;
    drop(world);
}

#[tokio::test]
#[should_panic(expected = "a dead letter of mirror: mirror-on-counter")]
async fn a_world_with_a_dead_letter_does_not_finish() {
    let (world, built) = counting_world().await;
    let bad = new_id();
    poison(&bad);
    built.add(&bad, 1).await.expect("counted");
    world.finish().await;
}

#[tokio::test]
#[should_panic(expected = "1 events that counter did not publish")]
async fn a_world_with_an_unpublished_event_does_not_finish() {
    let (mut world, _) = counting_world().await;
    world.restart_without(&["counter"]).await;
    let database = world.database("counter", "counter");
    let event = "INSERT INTO events (aggregate, number, kind, payload, time) VALUES ('a', 1, 'Added', ?, 0)";
    let mut connection = database.connect().expect("a connection");
    connection.execute(event, &[[8_u8, 1].as_slice().into()]).expect("inserted");
    let waits = "INSERT INTO unpublished (batch, events, size, time) VALUES ('b', '[[\"a\", 1]]', 1, 0)";
    connection.execute(waits, &[]).expect("inserted");
    world.finish().await;
}

#[tokio::test]
async fn engines_of_an_ended_process_take_nothing_more() {
    let (mut world, before) = counting_world().await;
    before.add("a", 1).await.expect("counted");
    world.settle().await;
    world.restart().await;
    assert_eq!(before.add("a", 1).await.expect_err("it is gone").reason, "STOPPING");
    assert_eq!(Built::last().value("a").await, 1);
    world.finish().await;
}
