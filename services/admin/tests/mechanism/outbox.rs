//! What is committed reaches every consumer, whoever is away meanwhile.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use contracts::admin::v1::GetOutboxStatusRequest;
use eventing::{Bus, Incoming, JetStreamBus, JetStreamSettings};
use runtime::Runtime;
use testkit::TestCluster;

use super::counter::{Built, admin, counting_world};

/// A bus that does not answer.
pub(super) async fn bus_that_is_away() -> Bus {
    let settings = JetStreamSettings {
        url: "nats://127.0.0.1:1".to_owned(),
        prefix: "away".to_owned(),
        replicas: 1,
        max_age: Duration::ZERO,
        trust: Default::default(),
    };
    Bus::JetStream(Arc::new(JetStreamBus::connect(settings).await.expect("a connection that goes on trying")))
}

async fn unpublished(world: &TestCluster) -> i64 {
    let status = admin(world).get_outbox_status(GetOutboxStatusRequest {}).await.expect("a status").into_inner();
    status.outboxes.iter().map(|outbox| outbox.unpublished_count).sum()
}

/// Another process that counts, on a bus that is away; it commits and cannot publish.
async fn count_while_the_bus_is_away(world: &TestCluster, bys: &[i64]) -> Runtime {
    let host = world.replica_without(&["mirror"], &bus_that_is_away().await).await;
    let replica = Built::last();
    for by in bys {
        replica.add("a", *by).await.expect("commits need no bus");
    }
    host
}

/// The numbers of `a` that somebody hears, until there are so many.
async fn numbers(incoming: &mut Incoming, expected: usize) -> BTreeSet<i64> {
    let mut numbers = BTreeSet::new();
    let all = async {
        while numbers.len() < expected {
            let delivery = incoming.next().await.expect("a subscription").expect("a delivery");
            numbers.insert(delivery.envelope().expect("a readable event").number);
            delivery.settle().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), all).await.expect("everything is fed again");
    numbers
}

#[tokio::test]
async fn events_committed_while_the_bus_is_away_are_published_when_it_is_back() {
    let (mut world, built) = counting_world().await;
    built.add("a", 1).await.expect("counted");
    world.settle().await;
    let mut replica = count_while_the_bus_is_away(&world, &[2, 3]).await;
    // This process is still there, and takes them to the bus that it reaches.
    world.settle().await;
    assert_eq!(built.heard("a").await, [1, 2, 3]);
    replica.stop().await;
    drop(replica);

    world.restart_without(&["counter"]).await;
    let mut replica = count_while_the_bus_is_away(&world, &[4, 5]).await;
    replica.stop().await;
    drop(replica);
    world.restart().await;
    world.settle().await;
    assert_eq!(unpublished(&world).await, 0);
    assert_eq!(Built::last().heard("a").await, [1, 2, 3, 4, 5]);
    world.finish().await;
}

#[tokio::test]
async fn a_consumer_that_was_down_catches_up() {
    let (mut world, _) = counting_world().await;
    world.restart_without(&["mirror"]).await;
    let built = Built::last();
    for by in 1..=50 {
        built.add("a", by).await.expect("counted");
    }
    world.settle().await;
    assert_eq!(unpublished(&world).await, 0);
    world.restart().await;
    world.settle().await;
    assert_eq!(Built::last().heard("a").await, (1..=50).collect::<Vec<_>>());
    world.finish().await;
}

#[tokio::test]
async fn what_an_ended_process_was_about_to_apply_is_applied_by_the_next_at_once() {
    let (mut world, mut built) = counting_world().await;
    for round in 1..=5 {
        futures::future::join_all((0..100).map(|_| built.add("a", round))).await;
        world.restart().await;
        built = Built::last();
    }
    world.settle().await;
    assert_eq!(built.heard("a").await, (1..=5).flat_map(|round| [round; 100]).collect::<Vec<_>>());
    world.finish().await;
}

#[tokio::test]
async fn a_new_consumer_hears_everything_from_the_beginning() {
    // More than is fed again in one range.
    const EVENTS: i64 = 1_100;
    let (world, built) = counting_world().await;
    futures::future::join_all((1..=EVENTS).map(|by| built.add("a", by))).await;
    built.add("b", 1).await.expect("counted");
    world.settle().await;
    let mut newcomer = world.bus().subscribe("counter", "newcomer").await.expect("a subscription");
    let all: Vec<_> = (1..=EVENTS).collect();
    assert_eq!(numbers(&mut newcomer, all.len()).await, all.iter().copied().collect());
    world.settle().await;
    assert_eq!(built.heard("a").await, all, "who knew them hears them once");
    world.finish().await;
}

#[tokio::test]
async fn a_broker_that_lost_everything_is_fed_again() {
    let (world, built) = counting_world().await;
    for by in 1..=20 {
        built.add("a", by).await.expect("counted");
    }
    world.settle().await;
    world.lose_streams().await;
    let mut newcomer = world.bus().subscribe("counter", "newcomer").await.expect("a subscription");
    assert_eq!(numbers(&mut newcomer, 20).await, (1..=20).collect());
    built.add("a", 21).await.expect("counted");
    assert_eq!(numbers(&mut newcomer, 1).await, BTreeSet::from([21]));
    built.hears("a", &(1..=21).collect::<Vec<_>>()).await;
    world.finish().await;
}

#[tokio::test]
async fn an_event_carries_its_cause_and_its_trace() {
    let (world, built) = counting_world().await;
    let mut incoming = world.bus().subscribe("counter", "witness").await.expect("a subscription");
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let ambient = jumun_core::RequestContext { traceparent: Some(traceparent.to_owned()), ..Default::default() };
    ambient.scope(built.add("a", 5)).await.expect("counted");
    let delivery = incoming.next().await.expect("a subscription").expect("a delivery");
    let message = delivery.envelope().expect("a readable event");
    assert_eq!((message.id().as_str(), message.kind.as_str(), message.time), ("counter/a/1", "Added", world.now()));
    assert_eq!((message.traceparent.as_deref(), message.causation.as_deref()), (Some(traceparent), None));
    delivery.settle().await;
    world.finish().await;
}

#[tokio::test]
async fn more_than_the_relay_takes_at_once_is_published_all_the_same() {
    let (world, built) = counting_world().await;
    let ids: Vec<_> = (0..500).map(|index| format!("counter-{index}")).collect();
    for _ in 0..10 {
        futures::future::join_all(ids.iter().map(|id| built.add(id, 1))).await;
    }
    world.settle().await;
    for id in ids.iter().step_by(50) {
        assert_eq!(built.heard(id).await, [1; 10]);
    }
    world.finish().await;
}
