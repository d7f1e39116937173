//! Commands of an engine: concurrent, refused, repeated, abandoned, and too many.

use std::time::{Duration, Instant};

use engine::{Decision, MAX_QUEUED, Query, RequestKey, storage::Connection};
use futures::{FutureExt, future::join_all};
use jumun_core::name::new_id;
use tonic::Code;

use super::counter::{Built, Counter, counting_cluster};

#[tokio::test]
async fn many_commands_at_once_are_all_answered_and_counted() {
    let (cluster, built) = counting_cluster().await;
    let ids: Vec<_> = (0..10).map(|index| format!("counter-{index}")).collect();
    let answers = join_all((0..1000).map(|index| built.add(&ids[index % 10], 1))).await;
    assert!(answers.iter().all(Result::is_ok));
    for id in &ids {
        assert_eq!(built.value(id).await, 100);
    }
    cluster.settle().await;
    for id in &ids {
        assert_eq!(built.applied(id).await, [1; 100]);
    }
    cluster.finish().await;
}

#[tokio::test]
async fn each_caller_gets_the_answer_to_its_own_command() {
    let (cluster, built) = counting_cluster().await;
    let ids: Vec<_> = (0..200).map(|index| format!("counter-{index}")).collect();
    let answers = join_all(ids.iter().zip(1..).map(|(id, by)| built.add(id, by))).await;
    for ((id, by), answer) in ids.iter().zip(1..).zip(answers) {
        let counter = answer.expect("counted").state.expect("a counter");
        assert_eq!((&counter.id, counter.value), (id, by));
    }
    cluster.finish().await;
}

#[tokio::test]
async fn a_refused_command_does_not_disturb_its_neighbours() {
    let (cluster, built) = counting_cluster().await;
    let answers = join_all((0..300).map(|index| built.add("a", i64::from(index % 3 != 0)))).await;
    for (index, answer) in answers.into_iter().enumerate() {
        match answer {
            Ok(_) => assert_ne!(index % 3, 0),
            Err(error) => assert_eq!((index % 3, error.reason), (0, "NOTHING_TO_ADD")),
        }
    }
    assert_eq!(built.value("a").await, 200);
    cluster.settle().await;
    assert_eq!(built.applied("a").await, [1; 200]);
    cluster.finish().await;
}

#[tokio::test]
async fn a_row_that_the_database_refuses_fails_alone() {
    let (cluster, built) = counting_cluster().await;
    // A text that PostgreSQL cannot store. SQLite can, so there the command succeeds.
    let spoil = |counter: Option<&Counter>| {
        let Some(counter) = counter else { return Ok(Decision::Leave) };
        Decision::save(Counter { note: Some("a\0b".to_owned()), ..counter.clone() })
    };
    built.add("bad", 1).await.expect("counted");
    let counters = built.counters();
    let (spoilt, neighbours) =
        tokio::join!(counters.execute("bad", None, spoil), join_all((0..50).map(|_| built.add("a", 1))));
    assert_eq!(spoilt.is_err(), testkit::on_servers());
    assert!(neighbours.iter().all(Result::is_ok));
    assert_eq!(built.value("a").await, 50);
    cluster.finish().await;
}

#[tokio::test]
async fn a_rule_that_panics_fails_alone() {
    let (cluster, built) = counting_cluster().await;
    let counters = built.counters();
    let both = futures::future::join(
        counters.execute("bad", None, |_| panic!("a fault in a rule")),
        join_all((0..50).map(|_| built.add("a", 1))),
    );
    let (panicked, neighbours) = tokio::time::timeout(Duration::from_secs(5), both).await.expect("the writer goes on");
    assert_eq!(panicked.expect_err("a fault").code, Code::Internal);
    assert!(neighbours.iter().all(Result::is_ok));
    built.add("a", 1).await.expect("the writer goes on");
    assert_eq!(built.value("a").await, 51);
    cluster.finish().await;
}

#[tokio::test]
async fn a_repeated_request_gets_the_first_response_even_when_the_counter_changed_meanwhile() {
    let (mut cluster, built) = counting_cluster().await;
    let first = built.add_for("a", 5, "r-1").await.expect("counted").into_response().expect("an answer");
    assert!(first.metadata().get("idempotency-replayed").is_none());
    built.add("a", 1).await.expect("counted");
    cluster.settle().await;
    cluster.restart().await;
    let built = Built::last();
    let second = built.add_for("a", 5, "r-1").await.expect("known").into_response().expect("an answer");
    assert_eq!(second.metadata().get("idempotency-replayed").expect("a mark"), "true");
    assert_eq!(prost::Message::encode_to_vec(second.get_ref()), prost::Message::encode_to_vec(first.get_ref()));
    assert_eq!(built.value("a").await, 6);
    cluster.finish().await;
}

#[tokio::test]
async fn another_body_under_the_same_request_id_is_refused() {
    let (cluster, built) = counting_cluster().await;
    let at_once = tokio::join!(built.add_for("a", 5, "r-1"), built.add_for("a", 6, "r-1"));
    assert!(at_once.0.is_ok());
    for refused in [at_once.1, built.add_for("a", 7, "r-1").await] {
        let error = refused.expect_err("another body");
        assert_eq!((error.code, error.reason), (Code::FailedPrecondition, "REQUEST_ID_REUSED"));
    }
    assert_eq!(built.value("a").await, 5);
    cluster.finish().await;
}

#[tokio::test]
async fn a_refused_request_is_not_remembered() {
    let (cluster, built) = counting_cluster().await;
    assert_eq!(built.add_for("a", 0, "r-1").await.expect_err("zero").reason, "NOTHING_TO_ADD");
    built.add_for("a", 5, "r-1").await.expect("counted");
    assert_eq!(built.value("a").await, 5);
    cluster.finish().await;
}

#[tokio::test]
async fn the_same_request_fifty_times_at_once_counts_once() {
    let (cluster, built) = counting_cluster().await;
    let answers = join_all((0..50).map(|_| built.add_for("a", 5, "r-1"))).await;
    let mut replayed = 0;
    for answer in answers {
        let answer = answer.expect("counted").into_response().expect("an answer");
        replayed += i32::from(answer.metadata().contains_key("idempotency-replayed"));
        assert_eq!(answer.into_inner(), 5);
    }
    assert_eq!(replayed, 49);
    assert_eq!(built.value("a").await, 5);
    cluster.finish().await;
}

#[tokio::test]
async fn a_caller_that_goes_away_does_not_stop_the_commit() {
    let (cluster, built) = counting_cluster().await;
    assert!(built.add("a", 5).now_or_never().is_none(), "the command is answered at once");
    let start = Instant::now();
    while built.value("a").await != 5 {
        assert!(start.elapsed() < Duration::from_secs(5), "it was not counted");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    cluster.finish().await;
}

#[tokio::test]
async fn a_command_beyond_the_queue_is_rejected_with_a_retry_delay() {
    let (cluster, built) = counting_cluster().await;
    built.add("a", 1).await.expect("counted");
    cluster.settle().await;
    let mut stalled = cluster.database("counter", "counter").connect().expect("a connection");
    let lock = match stalled {
        Connection::Sqlite(_) => "BEGIN IMMEDIATE",
        Connection::Postgres(_) => "BEGIN; LOCK TABLE counters IN ACCESS EXCLUSIVE MODE",
    };
    stalled.batch(lock).expect("no other writer");

    let mut queued = 0;
    let rejected = loop {
        match built.add("a", 1).now_or_never() {
            None => queued += 1,
            Some(answer) => break answer.expect_err("the queue is full"),
        }
        assert!(queued < 3 * MAX_QUEUED, "the queue has no bound");
    };
    assert_eq!((rejected.code, rejected.reason), (Code::ResourceExhausted, "QUEUE_FULL"));
    assert!(rejected.retry_after.is_some());
    assert!(queued >= MAX_QUEUED);

    drop(stalled);
    let expected = 1 + i64::try_from(queued).expect("a small number");
    let start = Instant::now();
    while built.value("a").await != expected {
        assert!(start.elapsed() < Duration::from_secs(15), "a queued command was not counted");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    cluster.finish().await;
}

#[tokio::test]
async fn answered_commands_survive_a_restart() {
    let (mut cluster, built) = counting_cluster().await;
    for by in 1..=3 {
        built.add("a", by).await.expect("counted");
    }
    cluster.settle().await;
    cluster.restart().await;
    let built = Built::last();
    assert_eq!(built.value("a").await, 6);
    built.add("a", 4).await.expect("counted");
    cluster.settle().await;
    assert_eq!((built.value("a").await, built.applied("a").await), (10, vec![1, 2, 3, 4]));
    cluster.finish().await;
}

#[tokio::test]
async fn connections_that_the_server_closes_are_replaced() {
    let (cluster, built) = counting_cluster().await;
    for by in 1..=5 {
        built.add("a", by).await.expect("counted");
        // Opens several reader connections; the server then closes all of them.
        join_all((0..8).map(|_| built.value("a"))).await;
        let mut other = cluster.database("counter", "counter").connect().expect("a connection");
        if matches!(other, Connection::Postgres(_)) {
            let others = "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity \
                          WHERE datname = current_database() AND pid <> pg_backend_pid()";
            other.query(others, &[]).expect("a superuser");
        }
    }
    assert_eq!(built.value("a").await, 15);
    cluster.settle().await;
    assert_eq!(built.applied("a").await, [1, 2, 3, 4, 5]);
    cluster.finish().await;
}

#[tokio::test]
async fn null_and_empty_text_are_stored_differently() {
    let (cluster, built) = counting_cluster().await;
    let counters = built.counters();
    let notes = [None, Some(""), Some("a note"), Some("ü\n'\"?"), None];
    for (step, note) in notes.iter().cycle().take(10).enumerate() {
        let note = note.map(str::to_owned);
        join_all(["a", "b"].map(|id| {
            // One row has a note and the other none, in one statement.
            let note = if id == "a" { note.clone() } else { None };
            counters.execute(id, None, move |counter| {
                let Ok(Decision::Save(counter, events)) = Counter::add(counter, id, 1) else {
                    panic!("one is counted")
                };
                Ok(Decision::Save(Counter { note: note.clone(), ..counter }, events))
            })
        }))
        .await;
        let found = counters.get("a").await.expect("a readable counter").expect("a counter");
        assert_eq!((found.note, found.value), (note, i64::try_from(step).expect("small") + 1));
        assert_eq!(counters.get("b").await.expect("a readable counter").expect("a counter").note, None);
    }
    assert_eq!(counters.get("nobody").await.expect("readable"), None);
    cluster.finish().await;
}

#[tokio::test]
async fn a_create_request_creates_once_and_its_repetition_finds_the_present_state() {
    let (mut cluster, built) = counting_cluster().await;
    let key = |body: i64| RequestKey::new("Create", "r-1", &body).expect("a key");
    let new = || Counter { id: new_id(), value: 7, note: None };
    let counters = built.counters();
    let created = join_all((0..50).map(|_| counters.create(key(1), new()))).await;
    let created: Vec<_> = created.into_iter().map(|created| created.expect("created")).collect();
    assert!(created.iter().all(|counter| *counter == created[0]), "{created:?}");

    built.add(&created[0].id, 3).await.expect("counted");
    cluster.settle().await;
    cluster.restart().await;
    let counters = Built::last().counters();
    let again = counters.create(key(1), new()).await.expect("found");
    assert_eq!((&again.id, again.value), (&created[0].id, 10));
    let error = counters.create(key(2), new()).await.expect_err("another body");
    assert_eq!((error.code, error.reason), (Code::FailedPrecondition, "REQUEST_ID_REUSED"));
    let all = counters.find(Query::new(), 10).await.expect("readable");
    assert_eq!(all, [Counter::clone(&again)]);
    cluster.finish().await;
}

#[tokio::test]
async fn begin_finds_what_exists_and_creates_the_others_of_its_batch() {
    let (mut cluster, built) = counting_cluster().await;
    built.add("a", 5).await.expect("counted");
    cluster.settle().await;
    // The restart empties the cache.
    cluster.restart().await;
    let counters = Built::last().counters();
    let begin = |id: &'static str| counters.begin(id, move |counter| Counter::add(counter, id, 1));
    let begun = join_all(["a", "b", "c"].map(begin)).await;
    let values: Vec<_> = begun.into_iter().map(|done| done.expect("begun").state.expect("a counter").value).collect();
    assert_eq!(values, [6, 1, 1]);
    cluster.restart().await;
    let counters = Built::last().counters();
    let unless_there = |counter: Option<&Counter>| match counter {
        None => Counter::add(None, "b", 100),
        Some(_) => Ok(Decision::Leave),
    };
    assert_eq!(counters.begin("b", unless_there).await.expect("found").state.expect("a counter").value, 1);
    let refused = counters.begin("nobody", |counter| Counter::add(counter, "nobody", 0)).await;
    assert_eq!(refused.expect_err("zero").reason, "NOTHING_TO_ADD");
    cluster.finish().await;
}

#[tokio::test]
async fn after_a_failed_creation_its_repetition_creates() {
    let (cluster, built) = counting_cluster().await;
    let counters = built.counters();
    let key = || RequestKey::new("Create", "r-1", &1_i64).expect("a key");
    // A text that PostgreSQL cannot store, so that there the first creation fails.
    let bad = Counter { id: new_id(), value: 1, note: Some("a\0b".to_owned()) };
    let good = Counter { id: new_id(), value: 2, note: None };
    // Blocks the writer, so that both creations are in the next batch.
    let hold_up = |_: Option<&Counter>| {
        std::thread::sleep(Duration::from_millis(50));
        Ok(Decision::Leave)
    };
    let all = futures::future::join3(
        counters.execute("other", None, hold_up),
        counters.create(key(), bad.clone()),
        counters.create(key(), good.clone()),
    );
    let (_, first, second) = tokio::time::timeout(Duration::from_secs(5), all).await.expect("the writer goes on");
    let created = if testkit::on_servers() { &good } else { &bad };
    assert_eq!(first.is_err(), testkit::on_servers());
    assert_eq!(*second.expect("created"), *created);
    assert_eq!(counters.get(&created.id).await.expect("readable").as_ref(), Some(created));
    cluster.finish().await;
}
