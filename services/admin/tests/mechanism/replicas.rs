//! Two processes on the same databases: whatever they do at the same time, no change is lost and none is made twice.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
    mpsc,
};

use engine::{CommandOutcome, Decision, RequestKey};
use eventing::{Bus, LocalBus};
use futures::future::join_all;
use jumun_core::{Error, name::new_id};
use runtime::Runtime;
use testkit::TestCluster;
use tokio::sync::oneshot;

use super::counter::{self, Built, Counter, added, counting_world};

/// A world, its own process and another one. The other's consumers hear a bus of their own.
async fn two_processes() -> (TestCluster, Built, Built, (Runtime, Bus)) {
    let (world, first) = counting_world().await;
    let bus = Bus::Local(LocalBus::default());
    let host = world.replica_without(&[], &bus).await;
    (world, first, Built::last(), (host, bus))
}

/// Adds 1 and, the first time that it has read, waits until it is let go on. Counts how often it decides.
struct HeldUp {
    answer: tokio::task::JoinHandle<Result<CommandOutcome<Counter>, Error>>,
    go_on: mpsc::Sender<()>,
    decided: Arc<AtomicUsize>,
}

impl HeldUp {
    async fn start(built: &Built, id: &'static str, request: Option<RequestKey>) -> Self {
        let (reading, has_read) = oneshot::channel();
        let (go_on, may_go_on) = mpsc::channel();
        let decided = Arc::new(AtomicUsize::new(0));
        let (mut reading, counted, counters) = (Some(reading), decided.clone(), built.counters());
        let rule = move |counter: Option<&Counter>| {
            counted.fetch_add(1, Ordering::SeqCst);
            if let Some(reading) = reading.take() {
                let _ = reading.send(());
                let _ = may_go_on.recv_timeout(counter::held_up_at_most());
            }
            Counter::add(counter, id, 1)
        };
        let answer = tokio::spawn(async move { counters.execute(id, request, rule).await });
        has_read.await.expect("it reads");
        Self { answer, go_on, decided }
    }

    async fn finish(self) -> (Result<CommandOutcome<Counter>, Error>, usize) {
        let _ = self.go_on.send(());
        let answer = self.answer.await.expect("an answer");
        (answer, self.decided.load(Ordering::SeqCst))
    }
}

#[tokio::test]
async fn two_processes_that_write_the_same_counter_lose_no_update() {
    let (world, first, second, (mut host, _)) = two_processes().await;
    let adds = (0..100).flat_map(|_| [first.add("a", 1), second.add("a", 1)]);
    let answers = join_all(adds).await;
    assert!(answers.iter().all(Result::is_ok), "{:?}", answers.iter().find(|answer| answer.is_err()));
    assert_eq!(first.value("a").await, 200);
    host.stop().await;
    world.settle().await;
    assert_eq!(first.heard("a").await.len(), 200);
    world.finish().await;
}

/// Where nothing is announced, only the versions tell.
#[tokio::test]
async fn two_processes_that_announce_nothing_lose_no_update_either() {
    let (world, first, second, (mut host, _)) = two_processes().await;
    first.add("a", 1).await.expect("counted");
    let add = |built: &Built| {
        let counters = built.counters();
        async move {
            let rule = |counter: &Counter| Decision::save(Counter { value: counter.value + 1, ..counter.clone() });
            counters.command("counters/a", None, rule).await
        }
    };
    for answer in join_all((0..100).flat_map(|_| [add(&first), add(&second)])).await {
        answer.expect("counted");
    }
    // One after another, each from what the other one wrote.
    for _ in 0..10 {
        add(&first).await.expect("counted");
        add(&second).await.expect("counted");
    }
    assert_eq!(first.value("a").await, 221);
    host.stop().await;
    world.finish().await;
}

#[tokio::test]
async fn a_decision_upon_what_another_process_changed_meanwhile_is_made_again() {
    let (world, first, second, (mut host, _)) = two_processes().await;
    for (id, before) in [("new", 0), ("old", 1)] {
        if before > 0 {
            first.add(id, before).await.expect("counted");
        }
        let held_up = HeldUp::start(&first, id, None).await;
        second.add(id, 10).await.expect("counted");
        let (answer, decided) = held_up.finish().await;
        let counter = answer.expect("counted").state.expect("a counter");
        if testkit::on_servers() {
            assert_eq!((counter.value, decided), (before + 11, 2), "{id}");
        }
        assert_eq!(first.value(id).await, before + 11, "{id}");
    }
    host.stop().await;
    world.finish().await;
}

#[tokio::test]
async fn the_same_request_to_two_processes_at_once_is_done_once() {
    let (world, first, second, (mut host, _)) = two_processes().await;
    let key = || RequestKey::new("Add", "r-1", &1_i64);
    let held_up = HeldUp::start(&first, "a", key()).await;
    let other = second.add_for("a", 1, "r-1").await.expect("counted").into_response().expect("an answer");
    let (answer, _) = held_up.finish().await;
    let answer = answer.expect("counted").into_response().expect("an answer");
    assert_eq!((answer.into_inner(), other.into_inner()), (1, 1));
    assert_eq!(first.value("a").await, 1);
    host.stop().await;
    world.finish().await;
}

#[tokio::test]
async fn the_same_requests_to_two_processes_at_once_are_each_done_once() {
    let (world, first, second, (mut host, _)) = two_processes().await;
    for round in 0..5 {
        let ids: Vec<_> = (0..50).map(|index| format!("r-{round}-{index}")).collect();
        let adds = ids.iter().flat_map(|id| [first.add_for(id, 1, id), second.add_for(id, 1, id)]);
        for answer in join_all(adds).await {
            assert_eq!(answer.expect("counted").into_response().expect("an answer").into_inner(), 1);
        }
    }
    host.stop().await;
    world.finish().await;
}

#[tokio::test]
async fn both_processes_hear_the_same_events_and_apply_each_once() {
    let (world, first, second, (mut host, other_bus)) = two_processes().await;
    let buses = [world.bus().clone(), other_bus];
    let publish = (1..=30).flat_map(|number| buses.iter().map(move |bus| (bus, number)));
    for (bus, number) in publish {
        drop(bus.publish(Arc::new(added("a", number, number))).await.expect("taken"));
    }
    first.hears("a", &(1..=30).collect::<Vec<_>>()).await;
    second.hears("a", &(1..=30).collect::<Vec<_>>()).await;
    host.stop().await;
    world.finish().await;
}

/// What a process heard must not be forgotten because a slower one hears an earlier event again.
#[tokio::test]
async fn a_slower_process_does_not_set_back_how_far_a_consumer_has_come() {
    let (world, quick, _, (mut host, slow_bus)) = two_processes().await;
    let id = new_id();
    let (has_read, go_on) = counter::hold_up(&id);
    let ignored = || Arc::new(added(&id, 1, counter::LEFT));
    drop(slow_bus.publish(ignored()).await.expect("taken"));
    has_read.await.expect("the slow one reads");
    for message in [ignored(), Arc::new(added(&id, 2, 2))] {
        drop(world.bus().publish(message).await.expect("taken"));
    }
    if testkit::on_servers() {
        quick.hears(&id, &[2]).await;
    }
    // The slow one had seen nothing of event 2 when it writes down that it heard event 1.
    let _ = go_on.send(());
    quick.hears(&id, &[2]).await;
    host.stop().await;
    drop(world.bus().publish(Arc::new(added(&id, 3, 3))).await.expect("taken"));
    quick.hears(&id, &[2, 3]).await;
    world.finish().await;
}
