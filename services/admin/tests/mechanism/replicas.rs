//! Two processes on the same databases: no concurrent change is lost, and none is made twice.

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

use super::counter::{self, Built, Counter, added, counting_cluster};

/// A cluster with a second process. Without a broker each has its own bus.
async fn two_processes() -> (TestCluster, Built, Built, Runtime) {
    let (cluster, first) = counting_cluster().await;
    let bus = if testkit::on_servers() { cluster.bus().clone() } else { Bus::Local(LocalBus::default()) };
    let replica = cluster.replica_without(&[], &bus).await;
    (cluster, first, Built::last(), replica)
}

/// A command that adds 1, and blocks after its first read until [`HeldUp::finish`]. Counts how often its rule runs.
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
    let (cluster, first, second, mut replica) = two_processes().await;
    let adds = (0..100).flat_map(|_| [first.add("a", 1), second.add("a", 1)]);
    let answers = join_all(adds).await;
    assert!(answers.iter().all(Result::is_ok), "{:?}", answers.iter().find(|answer| answer.is_err()));
    assert_eq!(first.value("a").await, 200);
    replica.stop().await;
    cluster.settle().await;
    assert_eq!(first.applied("a").await.len(), 200);
    cluster.finish().await;
}

/// Without events, only the versions of rows detect a conflict.
#[tokio::test]
async fn two_processes_without_events_lose_no_update_either() {
    let (cluster, first, second, mut replica) = two_processes().await;
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
    // In turn, so that each reads what the other wrote.
    for _ in 0..10 {
        add(&first).await.expect("counted");
        add(&second).await.expect("counted");
    }
    assert_eq!(first.value("a").await, 221);
    replica.stop().await;
    cluster.finish().await;
}

#[tokio::test]
async fn a_decision_on_a_state_that_another_process_changed_meanwhile_is_repeated() {
    let (cluster, first, second, mut replica) = two_processes().await;
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
    replica.stop().await;
    cluster.finish().await;
}

#[tokio::test]
async fn the_same_request_to_two_processes_at_once_is_done_once() {
    let (cluster, first, second, mut replica) = two_processes().await;
    let key = || RequestKey::new("Add", "r-1", &1_i64);
    let held_up = HeldUp::start(&first, "a", key()).await;
    let other = second.add_for("a", 1, "r-1").await.expect("counted").into_response().expect("an answer");
    let (answer, _) = held_up.finish().await;
    let answer = answer.expect("counted").into_response().expect("an answer");
    assert_eq!((answer.into_inner(), other.into_inner()), (1, 1));
    assert_eq!(first.value("a").await, 1);
    replica.stop().await;
    cluster.finish().await;
}

#[tokio::test]
async fn the_same_requests_to_two_processes_at_once_are_each_done_once() {
    let (cluster, first, second, mut replica) = two_processes().await;
    for round in 0..5 {
        let ids: Vec<_> = (0..50).map(|index| format!("r-{round}-{index}")).collect();
        let adds = ids.iter().flat_map(|id| [first.add_for(id, 1, id), second.add_for(id, 1, id)]);
        for answer in join_all(adds).await {
            assert_eq!(answer.expect("counted").into_response().expect("an answer").into_inner(), 1);
        }
    }
    replica.stop().await;
    cluster.finish().await;
}

#[tokio::test]
async fn both_processes_receive_the_same_events_and_apply_each_once() {
    let (cluster, first, second, mut replica) = two_processes().await;
    for number in 1..=30 {
        cluster.announce(added("a", number, number)).await;
    }
    first.until_applied("a", &(1..=30).collect::<Vec<_>>()).await;
    second.until_applied("a", &(1..=30).collect::<Vec<_>>()).await;
    replica.stop().await;
    cluster.finish().await;
}

#[tokio::test]
async fn a_process_that_is_held_up_does_not_set_back_the_position_of_a_consumer() {
    let (cluster, quick, _, mut replica) = two_processes().await;
    let id = new_id();
    let (has_read, go_on) = counter::hold_up(&id);
    cluster.announce(added(&id, 1, counter::LEFT)).await;
    has_read.await.expect("the slow one reads");
    let second = cluster.announce(added(&id, 2, 2));
    let _ = go_on.send(());
    second.await;
    quick.until_applied(&id, &[2]).await;
    replica.stop().await;
    cluster.announce(added(&id, 3, 3)).await;
    quick.until_applied(&id, &[2, 3]).await;
    cluster.finish().await;
}
