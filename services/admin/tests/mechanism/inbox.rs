//! Applying events: each once and in order, whatever the bus repeats or reorders. Poison events become dead letters.

use contracts::admin::v1::{
    DeadLetter, DiscardDeadLettersRequest, ListDeadLettersRequest, RedriveDeadLettersRequest,
    RedriveDeadLettersResponse,
};
use futures::future::join_all;
use jumun_core::{Envelope, name::new_id};
use testkit::TestCluster;

use super::counter::{IGNORED, added, admin, counting_cluster, cure, poison, policy_calls, slow_down_policy};

/// Publishes events in this order, without waiting until they are applied.
async fn publish(cluster: &TestCluster, messages: impl IntoIterator<Item = Envelope>) {
    for message in messages {
        cluster.announce(message).await;
    }
}

async fn dead_letters(cluster: &TestCluster) -> Vec<DeadLetter> {
    let answer = admin(cluster).list_dead_letters(ListDeadLettersRequest::default()).await;
    answer.expect("a list").into_inner().dead_letters
}

/// The ids of the events that are dead letters.
async fn dead(cluster: &TestCluster) -> Vec<String> {
    dead_letters(cluster).await.into_iter().map(|letter| letter.event).collect()
}

async fn redrive(cluster: &TestCluster) -> RedriveDeadLettersResponse {
    let answer = admin(cluster).redrive_dead_letters(RedriveDeadLettersRequest::default()).await;
    answer.expect("redriven").into_inner()
}

#[tokio::test]
#[ignore = "needs a broker: `make test` runs it"]
async fn duplicates_and_reordering_change_nothing() {
    let (cluster, built) = counting_cluster().await;
    let numbers = [2, 1, 1, 3, 2, 3, 5, 1, 4, 5, 4];
    publish(&cluster, numbers.map(|number| added("a", number, number * 10))).await;
    built.until_applied("a", &[10, 20, 30, 40, 50]).await;
    publish(&cluster, numbers.map(|number| added("a", number, number * 10))).await;
    cluster.settle().await;
    built.only_applied("a", &[10, 20, 30, 40, 50]).await;
    cluster.finish().await;
}

#[tokio::test]
#[ignore = "needs a broker: `make test` runs it"]
async fn events_of_many_aggregates_in_reverse_order_are_applied_in_order() {
    let (cluster, built) = counting_cluster().await;
    let backwards = (1..=20).rev().flat_map(|number| ["a", "b", "c"].map(|id| added(id, number, number)));
    publish(&cluster, backwards).await;
    let all: Vec<_> = (1..=20).collect();
    for id in ["a", "b", "c"] {
        built.until_applied(id, &all).await;
    }
    cluster.finish().await;
}

/// Otherwise events of fast policies would arrive before their predecessors, and be delayed for longer and longer.
#[tokio::test]
async fn events_are_applied_in_turn_however_long_a_policy_takes_for_one() {
    let (cluster, built) = counting_cluster().await;
    let (id, all) = ("slow", (1..=20).collect::<Vec<_>>());
    slow_down_policy(id);
    publish(&cluster, all.iter().map(|number| added(id, *number, *number))).await;
    built.until_applied(id, &all).await;
    assert_eq!(policy_calls(id), all.len(), "none was delivered twice");
    cluster.finish().await;
}

#[tokio::test]
#[ignore = "needs a broker: `make test` runs it"]
async fn an_event_waits_for_the_one_before_it() {
    let (cluster, built) = counting_cluster().await;
    publish(&cluster, [added("a", 2, 20), added("a", 3, 30), added("b", 1, 1)]).await;
    built.until_applied("b", &[1]).await;
    built.only_applied("a", &[]).await;
    publish(&cluster, [added("a", 1, 10)]).await;
    built.until_applied("a", &[10, 20, 30]).await;
    cluster.finish().await;
}

#[tokio::test]
async fn an_event_that_a_context_ignores_counts_as_applied() {
    let (cluster, built) = counting_cluster().await;
    for by in [IGNORED, 1, IGNORED, IGNORED, 2] {
        built.add("a", by).await.expect("counted");
    }
    cluster.settle().await;
    assert_eq!(built.applied("a").await, [1, 2]);
    cluster.finish().await;
}

#[tokio::test]
async fn a_poison_event_becomes_a_dead_letter_and_blocks_later_events_of_its_aggregate_only() {
    let (cluster, built) = counting_cluster().await;
    let bad = new_id();
    built.add(&bad, 1).await.expect("counted");
    cluster.settle().await;
    poison(&bad);
    join_all([built.add(&bad, 2), built.add("good", 1)]).await;
    cluster.settle().await;
    cure(&bad);
    // It could be applied now, but not before the dead letter.
    built.add(&bad, 3).await.expect("counted");
    built.add("good", 2).await.expect("counted");
    cluster.settle().await;
    assert_eq!((built.applied(&bad).await, built.applied("good").await), (vec![1], vec![1, 2]));
    assert_eq!(dead(&cluster).await, [format!("counter/{bad}/2"), format!("counter/{bad}/3")]);

    let redriven = redrive(&cluster).await;
    assert_eq!((redriven.applied_count, redriven.remaining_count), (2, 0));
    assert_eq!(built.applied(&bad).await, [1, 2, 3]);
    built.add(&bad, 4).await.expect("counted");
    cluster.settle().await;
    assert_eq!(built.applied(&bad).await, [1, 2, 3, 4]);
    cluster.finish().await;
}

#[tokio::test]
async fn a_dead_letter_that_fails_again_stays_one_with_the_events_after_it() {
    let (cluster, built) = counting_cluster().await;
    let (bad, worse) = (new_id(), new_id());
    poison(&bad);
    poison(&worse);
    for by in [1, 2] {
        built.add(&bad, by).await.expect("counted");
        built.add(&worse, by).await.expect("counted");
    }
    cluster.settle().await;
    cure(&bad);
    let redriven = redrive(&cluster).await;
    assert_eq!((redriven.applied_count, redriven.remaining_count), (2, 2));
    assert_eq!((built.applied(&bad).await, built.applied(&worse).await), (vec![1, 2], vec![]));
    cure(&worse);
    assert_eq!(redrive(&cluster).await.applied_count, 2);
    assert_eq!(built.applied(&worse).await, [1, 2]);
    cluster.finish().await;
}

#[tokio::test]
async fn dead_letters_survive_a_restart_and_two_redrives_at_once_apply_each_once() {
    let (mut cluster, built) = counting_cluster().await;
    let bad = new_id();
    poison(&bad);
    for by in 1..=5 {
        built.add(&bad, by).await.expect("counted");
    }
    cluster.settle().await;
    cluster.restart().await;
    let built = super::counter::Built::last();
    assert_eq!(dead(&cluster).await.len(), 5);
    cure(&bad);
    tokio::join!(redrive(&cluster), redrive(&cluster));
    assert_eq!(built.applied(&bad).await, [1, 2, 3, 4, 5]);
    built.add(&bad, 6).await.expect("counted");
    cluster.settle().await;
    assert_eq!(built.applied(&bad).await, [1, 2, 3, 4, 5, 6]);
    cluster.finish().await;
}

#[tokio::test]
async fn a_discarded_dead_letter_no_longer_blocks_later_events() {
    let (cluster, built) = counting_cluster().await;
    let bad = new_id();
    poison(&bad);
    built.add(&bad, 1).await.expect("counted");
    cluster.settle().await;
    cure(&bad);
    let letters = dead_letters(&cluster).await;
    let names: Vec<_> = letters.iter().map(|letter| letter.name.clone()).collect();
    assert_eq!((names.len(), letters[0].reason.as_str()), (1, "UNREADABLE_EVENT: poisoned"));
    assert_eq!((letters[0].context.as_str(), letters[0].consumer.as_str()), ("mirror", "mirror-on-counter"));
    for expected in [1, 0] {
        let request = DiscardDeadLettersRequest { names: names.clone() };
        let discarded = admin(&cluster).discard_dead_letters(request).await.expect("discarded").into_inner();
        assert_eq!(discarded.discarded_count, expected);
    }
    built.add(&bad, 2).await.expect("counted");
    cluster.settle().await;
    assert_eq!((built.applied(&bad).await, dead(&cluster).await), (vec![2], vec![]));
    cluster.finish().await;
}

#[tokio::test]
async fn a_redriven_dead_letter_keeps_its_trace_and_its_payload() {
    let (cluster, built) = counting_cluster().await;
    let bad = new_id();
    poison(&bad);
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned();
    publish(&cluster, [Envelope { traceparent: Some(traceparent.clone()), ..added(&bad, 1, 7) }]).await;
    while dead(&cluster).await.is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let mirror = cluster.database("mirror", "mirror");
    let stored = mirror
        .read(|connection| connection.query("SELECT traceparent FROM dead_letters", &[])?.remove(0).optional_text());
    assert_eq!(stored.await.expect("a dead letter"), Some(traceparent));
    cure(&bad);
    assert_eq!(redrive(&cluster).await.applied_count, 1);
    assert_eq!(built.applied(&bad).await, [7]);
    cluster.finish().await;
}
