//! The test cluster itself: its clock, its isolation, and the checks when a test finishes.

use std::time::Duration;

use jumun_core::name::new_id;

use super::counter::{Built, counting_cluster, poison};

#[tokio::test]
async fn the_clock_changes_only_when_it_is_moved_and_survives_a_restart() {
    let (mut cluster, _) = counting_cluster().await;
    let start = cluster.now();
    cluster.settle().await;
    assert_eq!(cluster.now(), start);
    cluster.advance(Duration::from_secs(3600)).await;
    cluster.restart().await;
    assert_eq!(cluster.now().since(start), Duration::from_secs(3600));
    cluster.finish().await;
}

#[tokio::test]
async fn clusters_share_nothing() {
    let (one, in_one) = counting_cluster().await;
    let (other, in_other) = counting_cluster().await;
    in_one.add("a", 1).await.expect("counted");
    one.settle().await;
    other.settle().await;
    assert_eq!((in_other.value("a").await, in_other.applied("a").await), (0, vec![]));
    one.finish().await;
    other.finish().await;
}

#[tokio::test]
#[should_panic(expected = "a test ends with `cluster.finish().await`")]
async fn a_cluster_that_is_dropped_unfinished_panics() {
    let (cluster, _) = counting_cluster().await;
    drop(cluster);
}

#[tokio::test]
#[should_panic(expected = "a dead letter of mirror: mirror-on-counter")]
async fn a_cluster_with_a_dead_letter_does_not_finish() {
    let (cluster, built) = counting_cluster().await;
    let bad = new_id();
    poison(&bad);
    built.add(&bad, 1).await.expect("counted");
    cluster.finish().await;
}

#[tokio::test]
#[should_panic(expected = "1 events that counter did not publish")]
async fn a_cluster_with_an_unpublished_event_does_not_finish() {
    let (mut cluster, _) = counting_cluster().await;
    cluster.restart_without(&["counter"]).await;
    let database = cluster.database("counter", "counter");
    let event = "INSERT INTO events (aggregate, number, kind, payload, time) VALUES ('a', 1, 'Added', ?, 0)";
    let mut connection = database.connect().expect("a connection");
    connection.execute(event, &[[8_u8, 1].as_slice().into()]).expect("inserted");
    let unpublished = "INSERT INTO unpublished (batch, events, size, time) VALUES ('b', '[[\"a\", 1]]', 1, 0)";
    connection.execute(unpublished, &[]).expect("inserted");
    cluster.finish().await;
}

#[tokio::test]
async fn engines_of_a_stopped_process_accept_no_commands() {
    let (mut cluster, before) = counting_cluster().await;
    before.add("a", 1).await.expect("counted");
    cluster.settle().await;
    cluster.restart().await;
    assert_eq!(before.add("a", 1).await.expect_err("it is stopped").reason, "STOPPING");
    assert_eq!(Built::last().value("a").await, 1);
    cluster.finish().await;
}
