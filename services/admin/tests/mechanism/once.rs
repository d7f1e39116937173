//! What happens once and can be taken back once, in whatever order it is asked for.

use engine::{CommandOutcome, Decision, RequestKey};
use futures::future::join_all;
use jumun_core::Error;

use super::counter::{Built, Counter, counting_world};

async fn take(built: &Built, subject: &str, by: i64) -> Result<CommandOutcome<Counter>, Error> {
    let key = RequestKey::reservation("Take", subject, &by);
    built.counters().execute("a", Some(key), move |counter| Counter::add(counter, "a", by)).await
}

async fn take_back(built: &Built, subject: &str, by: i64) -> Result<CommandOutcome<Counter>, Error> {
    let key = RequestKey::release("Take", subject, &by);
    built.counters().execute("a", Some(key), move |counter| Counter::add(counter, "a", -by)).await
}

#[tokio::test]
async fn what_happens_once_happens_once_however_often_and_by_whomever_it_is_asked() {
    let (world, built) = counting_world().await;
    for answer in join_all((0..50).map(|_| take(&built, "x", 3))).await {
        answer.expect("an answer");
    }
    take(&built, "x", 3).await.expect("again, in another transaction");
    take(&built, "y", 4).await.expect("another subject");
    assert_eq!(built.value("a").await, 7);
    world.finish().await;
}

#[tokio::test]
async fn what_was_taken_back_once_is_not_taken_back_twice_and_never_happens_again() {
    let (world, built) = counting_world().await;
    built.add("a", 10).await.expect("counted");
    take(&built, "x", 3).await.expect("an answer");
    for answer in join_all((0..50).map(|_| take_back(&built, "x", 3))).await {
        answer.expect("an answer");
    }
    assert_eq!(built.value("a").await, 10);
    assert_eq!(take(&built, "x", 3).await.expect_err("taken back").reason, "TAKEN_BACK");
    assert_eq!(built.value("a").await, 10);
    world.finish().await;
}

#[tokio::test]
async fn taking_back_that_overtakes_what_it_takes_back_forbids_it() {
    let (world, built) = counting_world().await;
    built.add("a", 10).await.expect("counted");
    take_back(&built, "x", 3).await.expect("nothing to take back");
    take_back(&built, "x", 3).await.expect("nothing, again");
    assert_eq!(take(&built, "x", 3).await.expect_err("it was forbidden").reason, "TAKEN_BACK");
    assert_eq!(built.value("a").await, 10);
    world.finish().await;
}

#[tokio::test]
async fn of_what_is_not_there_it_can_be_taken_back_too() {
    let (world, built) = counting_world().await;
    assert!(take_back(&built, "x", 3).await.expect("an answer").state.is_none());
    assert_eq!(take(&built, "x", 3).await.expect_err("it was forbidden").reason, "TAKEN_BACK");
    world.finish().await;
}

#[tokio::test]
async fn what_was_refused_is_not_remembered() {
    let (world, built) = counting_world().await;
    let counters = built.counters();
    let refused = counters.execute("a", Some(RequestKey::reservation("Take", "x", &3_i64)), |_| {
        Err::<Decision<Counter>, _>(Error::not_found("counters/a"))
    });
    refused.await.expect_err("refused");
    take(&built, "x", 3).await.expect("now there is enough");
    assert_eq!(built.value("a").await, 3);
    world.finish().await;
}

#[tokio::test]
async fn another_quantity_is_another_thing() {
    let (world, built) = counting_world().await;
    take(&built, "x", 3).await.expect("an answer");
    assert_eq!(take(&built, "x", 4).await.expect_err("another").reason, "DONE_OTHERWISE");
    assert_eq!(take_back(&built, "x", 4).await.expect_err("another").reason, "DONE_OTHERWISE");
    assert_eq!(built.value("a").await, 3);
    world.finish().await;
}

#[tokio::test]
async fn taking_and_taking_back_at_once_leave_nothing_or_what_was_there() {
    let (world, built) = counting_world().await;
    built.add("a", 100).await.expect("counted");
    let subjects: Vec<_> = (0..40).map(|subject| subject.to_string()).collect();
    let taking = join_all(subjects.iter().map(|subject| take(&built, subject, 3)));
    let taking_back = join_all(subjects.iter().map(|subject| take_back(&built, subject, 3)));
    let (_, back) = tokio::join!(taking, taking_back);
    assert!(back.iter().all(Result::is_ok));
    assert_eq!(built.value("a").await, 100);
    world.finish().await;
}
