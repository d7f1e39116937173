//! The outbox: committed events reach every consumer, even if the bus or a process is down meanwhile.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use contracts::admin::v1::GetOutboxStatusRequest;
use engine::event_log;
use eventing::{Bus, JetStreamBus, JetStreamIncoming, JetStreamSettings};
use runtime::Runtime;
use testkit::TestCluster;

use super::counter::{Built, admin, counting_cluster};

/// A bus that is down.
pub(super) async fn bus_that_is_down() -> Bus {
    let settings = JetStreamSettings {
        url: "nats://127.0.0.1:1".to_owned(),
        prefix: "away".to_owned(),
        replicas: 1,
        max_age: Duration::ZERO,
        trust: Default::default(),
    };
    Bus::JetStream(Arc::new(JetStreamBus::connect(settings).await.expect("a connection that goes on trying")))
}

async fn unpublished(cluster: &TestCluster) -> i64 {
    let status = admin(cluster).get_outbox_status(GetOutboxStatusRequest {}).await.expect("a status").into_inner();
    status.outboxes.iter().map(|outbox| outbox.unpublished_count).sum()
}

/// Starts another process on a bus that is down, and adds to its counter: it commits, and cannot publish.
async fn count_while_the_bus_is_down(cluster: &TestCluster, bys: &[i64]) -> Runtime {
    let replica = cluster.replica_without(&["mirror"], &bus_that_is_down().await).await;
    let built = Built::last();
    for by in bys {
        built.add("a", *by).await.expect("commits need no bus");
    }
    replica
}

/// Receives events until there are `expected` distinct numbers; returns the numbers.
async fn numbers(incoming: &mut JetStreamIncoming, expected: usize) -> BTreeSet<i64> {
    let mut numbers = BTreeSet::new();
    let all = async {
        while numbers.len() < expected {
            let delivery = incoming.next().await.expect("a subscription").expect("a delivery");
            numbers.insert(delivery.envelope().expect("a readable event").number);
            delivery.settle().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), all).await.expect("every event is published again");
    numbers
}

#[tokio::test]
#[ignore = "needs a broker: `make test` runs it"]
async fn events_committed_while_the_bus_is_down_are_published_when_it_is_up() {
    let (mut cluster, built) = counting_cluster().await;
    built.add("a", 1).await.expect("counted");
    cluster.settle().await;
    let mut replica = count_while_the_bus_is_down(&cluster, &[2, 3]).await;
    // The cluster's own process publishes them, because its bus is up.
    cluster.settle().await;
    assert_eq!(built.applied("a").await, [1, 2, 3]);
    replica.stop().await;
    drop(replica);

    cluster.restart_without(&["counter"]).await;
    let mut replica = count_while_the_bus_is_down(&cluster, &[4, 5]).await;
    replica.stop().await;
    drop(replica);
    cluster.restart().await;
    cluster.settle().await;
    assert_eq!(unpublished(&cluster).await, 0);
    assert_eq!(Built::last().applied("a").await, [1, 2, 3, 4, 5]);
    cluster.finish().await;
}

#[tokio::test]
async fn a_consumer_that_was_down_catches_up() {
    let (mut cluster, _) = counting_cluster().await;
    cluster.restart_without(&["mirror"]).await;
    let built = Built::last();
    for by in 1..=50 {
        built.add("a", by).await.expect("counted");
    }
    cluster.settle().await;
    assert_eq!(unpublished(&cluster).await, 0);
    cluster.restart().await;
    cluster.settle().await;
    assert_eq!(Built::last().applied("a").await, (1..=50).collect::<Vec<_>>());
    cluster.finish().await;
}

#[tokio::test]
async fn events_that_a_stopped_process_did_not_apply_are_applied_by_the_next_at_once() {
    let (mut cluster, mut built) = counting_cluster().await;
    for round in 1..=5 {
        futures::future::join_all((0..100).map(|_| built.add("a", round))).await;
        cluster.restart().await;
        built = Built::last();
    }
    cluster.settle().await;
    assert_eq!(built.applied("a").await, (1..=5).flat_map(|round| [round; 100]).collect::<Vec<_>>());
    cluster.finish().await;
}

#[tokio::test]
#[ignore = "needs a broker: `make test` runs it"]
async fn a_new_consumer_receives_every_event_from_the_beginning() {
    // More than one range of events that are published again.
    const EVENTS: i64 = 1_100;
    let (cluster, built) = counting_cluster().await;
    futures::future::join_all((1..=EVENTS).map(|by| built.add("a", by))).await;
    built.add("b", 1).await.expect("counted");
    cluster.settle().await;
    let mut newcomer = cluster.broker().subscribe("counter", "newcomer").await.expect("a subscription");
    let all: Vec<_> = (1..=EVENTS).collect();
    assert_eq!(numbers(&mut newcomer, all.len()).await, all.iter().copied().collect());
    cluster.settle().await;
    assert_eq!(built.applied("a").await, all, "the old consumer applied each once");
    cluster.finish().await;
}

#[tokio::test]
#[ignore = "needs a broker: `make test` runs it"]
async fn after_the_broker_lost_its_streams_every_event_is_published_again() {
    let (cluster, built) = counting_cluster().await;
    for by in 1..=20 {
        built.add("a", by).await.expect("counted");
    }
    cluster.settle().await;
    cluster.lose_streams().await;
    let mut newcomer = cluster.broker().subscribe("counter", "newcomer").await.expect("a subscription");
    assert_eq!(numbers(&mut newcomer, 20).await, (1..=20).collect());
    built.add("a", 21).await.expect("counted");
    assert_eq!(numbers(&mut newcomer, 1).await, BTreeSet::from([21]));
    built.until_applied("a", &(1..=21).collect::<Vec<_>>()).await;
    cluster.finish().await;
}

#[tokio::test]
async fn an_event_carries_its_cause_and_its_trace() {
    let (cluster, built) = counting_cluster().await;
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let context = jumun_core::RequestContext { traceparent: Some(traceparent.to_owned()), ..Default::default() };
    context.scope(built.add("a", 5)).await.expect("counted");
    let history = event_log::after(&cluster.database("counter", "counter"), 0, 2).await.expect("a history");
    let message = &history[0];
    assert_eq!((message.id().as_str(), message.kind.as_str(), message.time), ("counter/a/1", "Added", cluster.now()));
    assert_eq!((message.traceparent.as_deref(), message.causation.as_deref()), (Some(traceparent), None));
    cluster.finish().await;
}

#[tokio::test]
async fn more_events_than_one_batch_of_the_relay_are_published() {
    let (cluster, built) = counting_cluster().await;
    let ids: Vec<_> = (0..500).map(|index| format!("counter-{index}")).collect();
    for _ in 0..10 {
        futures::future::join_all(ids.iter().map(|id| built.add(id, 1))).await;
    }
    cluster.settle().await;
    for id in ids.iter().step_by(50) {
        assert_eq!(built.applied(id).await, [1; 10]);
    }
    cluster.finish().await;
}
