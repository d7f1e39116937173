//! Events: each applied once and in order, whatever the bus does to them; and what cannot be applied is put aside.

use std::sync::Arc;

use contracts::admin::v1::{
    DeadLetter, DiscardDeadLettersRequest, ListDeadLettersRequest, RedriveDeadLettersRequest,
    RedriveDeadLettersResponse,
};
use futures::future::join_all;
use jumun_core::{Envelope, name::new_id};
use testkit::TestCluster;

use super::counter::{IGNORED, added, admin, asked_about, counting_world, cure, poison, ponder};

/// Hands events to the bus, in this order, without waiting for them to be applied.
async fn publish(world: &TestCluster, messages: impl IntoIterator<Item = Envelope>) {
    for message in messages {
        // Nobody waits: what the bus could not deliver would not be heard, and the test would fail by that.
        drop(world.bus().publish(Arc::new(message)).await.expect("taken"));
    }
}

async fn dead_letters(world: &TestCluster) -> Vec<DeadLetter> {
    let answer = admin(world).list_dead_letters(ListDeadLettersRequest::default()).await;
    answer.expect("a list").into_inner().dead_letters
}

/// The events that were put aside.
async fn dead(world: &TestCluster) -> Vec<String> {
    dead_letters(world).await.into_iter().map(|letter| letter.event).collect()
}

async fn redrive(world: &TestCluster) -> RedriveDeadLettersResponse {
    let answer = admin(world).redrive_dead_letters(RedriveDeadLettersRequest::default()).await;
    answer.expect("redriven").into_inner()
}

#[tokio::test]
async fn duplicates_and_reordering_change_nothing() {
    let (world, built) = counting_world().await;
    let numbers = [2, 1, 1, 3, 2, 3, 5, 1, 4, 5, 4];
    publish(&world, numbers.map(|number| added("a", number, number * 10))).await;
    built.hears("a", &[10, 20, 30, 40, 50]).await;
    publish(&world, numbers.map(|number| added("a", number, number * 10))).await;
    world.settle().await;
    built.hears_only("a", &[10, 20, 30, 40, 50]).await;
    world.finish().await;
}

#[tokio::test]
async fn the_worst_order_of_many_aggregates_comes_right() {
    let (world, built) = counting_world().await;
    let backwards = (1..=20).rev().flat_map(|number| ["a", "b", "c"].map(|id| added(id, number, number)));
    publish(&world, backwards).await;
    let all: Vec<_> = (1..=20).collect();
    for id in ["a", "b", "c"] {
        built.hears(id, &all).await;
    }
    world.finish().await;
}

/// Else those that need no thought would come too early, and be put off for longer and longer.
#[tokio::test]
async fn events_are_taken_in_turn_however_long_a_policy_thinks_about_one() {
    let (world, built) = counting_world().await;
    let (id, all) = ("pondered", (1..=20).collect::<Vec<_>>());
    ponder(id);
    publish(&world, all.iter().map(|number| added(id, *number, *number))).await;
    built.hears(id, &all).await;
    assert_eq!(asked_about(id), all.len(), "none came twice");
    world.finish().await;
}

#[tokio::test]
async fn an_event_waits_for_the_one_before_it() {
    let (world, built) = counting_world().await;
    publish(&world, [added("a", 2, 20), added("a", 3, 30), added("b", 1, 1)]).await;
    built.hears("b", &[1]).await;
    built.hears_only("a", &[]).await;
    publish(&world, [added("a", 1, 10)]).await;
    built.hears("a", &[10, 20, 30]).await;
    world.finish().await;
}

#[tokio::test]
async fn an_event_that_a_context_ignores_counts_as_heard() {
    let (world, built) = counting_world().await;
    for by in [IGNORED, 1, IGNORED, IGNORED, 2] {
        built.add("a", by).await.expect("counted");
    }
    world.settle().await;
    assert_eq!(built.heard("a").await, [1, 2]);
    world.finish().await;
}

#[tokio::test]
async fn poison_is_put_aside_and_what_follows_it_waits_while_others_go_on() {
    let (world, built) = counting_world().await;
    let bad = new_id();
    built.add(&bad, 1).await.expect("counted");
    world.settle().await;
    poison(&bad);
    join_all([built.add(&bad, 2), built.add("good", 1)]).await;
    world.settle().await;
    cure(&bad);
    // It would be applied now, but not before the one that is put aside.
    built.add(&bad, 3).await.expect("counted");
    built.add("good", 2).await.expect("counted");
    world.settle().await;
    assert_eq!((built.heard(&bad).await, built.heard("good").await), (vec![1], vec![1, 2]));
    assert_eq!(dead(&world).await, [format!("counter/{bad}/2"), format!("counter/{bad}/3")]);

    let redriven = redrive(&world).await;
    assert_eq!((redriven.applied_count, redriven.remaining_count), (2, 0));
    assert_eq!(built.heard(&bad).await, [1, 2, 3]);
    built.add(&bad, 4).await.expect("counted");
    world.settle().await;
    assert_eq!(built.heard(&bad).await, [1, 2, 3, 4]);
    world.finish().await;
}

#[tokio::test]
async fn what_is_still_poison_stays_put_aside_with_what_follows_it() {
    let (world, built) = counting_world().await;
    let (bad, worse) = (new_id(), new_id());
    poison(&bad);
    poison(&worse);
    for by in [1, 2] {
        built.add(&bad, by).await.expect("counted");
        built.add(&worse, by).await.expect("counted");
    }
    world.settle().await;
    cure(&bad);
    let redriven = redrive(&world).await;
    assert_eq!((redriven.applied_count, redriven.remaining_count), (2, 2));
    assert_eq!((built.heard(&bad).await, built.heard(&worse).await), (vec![1, 2], vec![]));
    cure(&worse);
    assert_eq!(redrive(&world).await.applied_count, 2);
    assert_eq!(built.heard(&worse).await, [1, 2]);
    world.finish().await;
}

#[tokio::test]
async fn dead_letters_survive_a_restart_and_two_redrives_at_once_apply_each_once() {
    let (mut world, built) = counting_world().await;
    let bad = new_id();
    poison(&bad);
    for by in 1..=5 {
        built.add(&bad, by).await.expect("counted");
    }
    world.settle().await;
    world.restart().await;
    let built = super::counter::Built::last();
    assert_eq!(dead(&world).await.len(), 5);
    cure(&bad);
    tokio::join!(redrive(&world), redrive(&world));
    assert_eq!(built.heard(&bad).await, [1, 2, 3, 4, 5]);
    built.add(&bad, 6).await.expect("counted");
    world.settle().await;
    assert_eq!(built.heard(&bad).await, [1, 2, 3, 4, 5, 6]);
    world.finish().await;
}

#[tokio::test]
async fn what_is_discarded_lets_later_events_go_on() {
    let (world, built) = counting_world().await;
    let bad = new_id();
    poison(&bad);
    built.add(&bad, 1).await.expect("counted");
    world.settle().await;
    cure(&bad);
    let letters = dead_letters(&world).await;
    let names: Vec<_> = letters.iter().map(|letter| letter.name.clone()).collect();
    assert_eq!((names.len(), letters[0].reason.as_str()), (1, "UNREADABLE_EVENT: poisoned"));
    assert_eq!((letters[0].context.as_str(), letters[0].consumer.as_str()), ("mirror", "mirror-on-counter"));
    for expected in [1, 0] {
        let request = DiscardDeadLettersRequest { names: names.clone() };
        let discarded = admin(&world).discard_dead_letters(request).await.expect("discarded").into_inner();
        assert_eq!(discarded.discarded_count, expected);
    }
    built.add(&bad, 2).await.expect("counted");
    world.settle().await;
    assert_eq!((built.heard(&bad).await, dead(&world).await), (vec![2], vec![]));
    world.finish().await;
}

#[tokio::test]
async fn a_redriven_letter_goes_on_with_its_trace_and_its_payload() {
    let (world, built) = counting_world().await;
    let bad = new_id();
    poison(&bad);
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned();
    publish(&world, [Envelope { traceparent: Some(traceparent.clone()), ..added(&bad, 1, 7) }]).await;
    while dead(&world).await.is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let mirror = world.database("mirror", "mirror");
    let stored = mirror
        .read(|connection| connection.query("SELECT traceparent FROM dead_letters", &[])?.remove(0).optional_text());
    assert_eq!(stored.await.expect("a dead letter"), Some(traceparent));
    cure(&bad);
    assert_eq!(redrive(&world).await.applied_count, 1);
    assert_eq!(built.heard(&bad).await, [7]);
    world.finish().await;
}
