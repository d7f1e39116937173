//! Reservations: each is made once and released once, in any order of the requests.

use engine::{CommandOutcome, Decision, RequestKey};
use futures::future::join_all;
use jumun_core::Error;

use super::counter::{Built, Counter, counting_cluster};

async fn reserve(built: &Built, subject: &str, by: i64) -> Result<CommandOutcome<Counter>, Error> {
    let key = RequestKey::reservation("Take", subject, &by);
    built.counters().execute("a", Some(key), move |counter| Counter::add(counter, "a", by)).await
}

async fn release(built: &Built, subject: &str, by: i64) -> Result<CommandOutcome<Counter>, Error> {
    let key = RequestKey::release("Take", subject, &by);
    built.counters().execute("a", Some(key), move |counter| Counter::add(counter, "a", -by)).await
}

#[tokio::test]
async fn a_reservation_is_made_once_however_often_it_is_requested() {
    let (cluster, built) = counting_cluster().await;
    for answer in join_all((0..50).map(|_| reserve(&built, "x", 3))).await {
        answer.expect("an answer");
    }
    reserve(&built, "x", 3).await.expect("again, in another transaction");
    reserve(&built, "y", 4).await.expect("another subject");
    assert_eq!(built.value("a").await, 7);
    cluster.finish().await;
}

#[tokio::test]
async fn a_reservation_is_released_once_and_cannot_be_made_again() {
    let (cluster, built) = counting_cluster().await;
    built.add("a", 10).await.expect("counted");
    reserve(&built, "x", 3).await.expect("an answer");
    for answer in join_all((0..50).map(|_| release(&built, "x", 3))).await {
        answer.expect("an answer");
    }
    assert_eq!(built.value("a").await, 10);
    assert_eq!(reserve(&built, "x", 3).await.expect_err("released").reason, "TAKEN_BACK");
    assert_eq!(built.value("a").await, 10);
    cluster.finish().await;
}

#[tokio::test]
async fn a_release_that_arrives_first_prevents_the_reservation() {
    let (cluster, built) = counting_cluster().await;
    built.add("a", 10).await.expect("counted");
    release(&built, "x", 3).await.expect("nothing to release");
    release(&built, "x", 3).await.expect("nothing, again");
    assert_eq!(reserve(&built, "x", 3).await.expect_err("it was forbidden").reason, "TAKEN_BACK");
    assert_eq!(built.value("a").await, 10);
    cluster.finish().await;
}

#[tokio::test]
async fn a_release_works_on_an_aggregate_that_does_not_exist() {
    let (cluster, built) = counting_cluster().await;
    assert!(release(&built, "x", 3).await.expect("an answer").state.is_none());
    assert_eq!(reserve(&built, "x", 3).await.expect_err("it was forbidden").reason, "TAKEN_BACK");
    cluster.finish().await;
}

#[tokio::test]
async fn a_refused_reservation_is_not_remembered() {
    let (cluster, built) = counting_cluster().await;
    let counters = built.counters();
    let refused = counters.execute("a", Some(RequestKey::reservation("Take", "x", &3_i64)), |_| {
        Err::<Decision<Counter>, _>(Error::not_found("counters/a"))
    });
    refused.await.expect_err("refused");
    reserve(&built, "x", 3).await.expect("now there is enough");
    assert_eq!(built.value("a").await, 3);
    cluster.finish().await;
}

#[tokio::test]
async fn the_same_reservation_with_another_quantity_is_refused() {
    let (cluster, built) = counting_cluster().await;
    reserve(&built, "x", 3).await.expect("an answer");
    assert_eq!(reserve(&built, "x", 4).await.expect_err("another").reason, "DONE_OTHERWISE");
    assert_eq!(release(&built, "x", 4).await.expect_err("another").reason, "DONE_OTHERWISE");
    assert_eq!(built.value("a").await, 3);
    cluster.finish().await;
}

#[tokio::test]
async fn concurrent_reservations_and_releases_leave_the_original_value() {
    let (cluster, built) = counting_cluster().await;
    built.add("a", 100).await.expect("counted");
    let subjects: Vec<_> = (0..40).map(|subject| subject.to_string()).collect();
    let reservations = join_all(subjects.iter().map(|subject| reserve(&built, subject, 3)));
    let releases = join_all(subjects.iter().map(|subject| release(&built, subject, 3)));
    let (_, released) = tokio::join!(reservations, releases);
    assert!(released.iter().all(Result::is_ok));
    assert_eq!(built.value("a").await, 100);
    cluster.finish().await;
}
