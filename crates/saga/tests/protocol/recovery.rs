//! The recovery of tasks whose outcome is unknown.

use std::time::Duration;

use super::errand::{A_WHILE, Answer, State, errands, request, state};

const A_MOMENT: Duration = Duration::from_secs(1);

#[tokio::test]
async fn an_unknown_outcome_is_resolved_by_the_recovery_but_not_while_a_call_may_be_in_flight() {
    let (cluster, runner) = errands().await;
    runner.saga().answers(&[Answer::Silence, Answer::Yes]);
    request(&runner, "a").await.expect_err("silence");
    cluster.advance(A_MOMENT).await;
    assert_eq!(runner.saga().calls(), ["ask a PENDING"]);
    cluster.advance(A_WHILE).await;
    assert_eq!(runner.saga().calls(), ["resolve a PENDING"]);
    assert_eq!(state(&runner, "a").await, Some(State::Done));
    cluster.advance(A_WHILE).await;
    assert!(runner.saga().calls().is_empty(), "a settled task is resolved again");
    cluster.finish().await;
}

#[tokio::test]
async fn the_recovery_goes_from_step_to_step_and_starts_again_where_it_was_interrupted() {
    let (cluster, runner) = errands().await;
    runner.saga().answers(&[Answer::Silence, Answer::Unknown, Answer::Silence]);
    request(&runner, "a").await.expect_err("silence");
    cluster.advance(A_WHILE).await;
    assert_eq!(runner.saga().calls(), ["ask a PENDING", "resolve a PENDING", "resolve a WITHDRAWING"]);
    assert_eq!(state(&runner, "a").await, Some(State::Withdrawing));
    runner.saga().answers(&[Answer::No]);
    cluster.advance(A_WHILE).await;
    assert_eq!(runner.saga().calls(), ["resolve a WITHDRAWING"]);
    assert_eq!(state(&runner, "a").await, Some(State::Refused));
    cluster.finish().await;
}

#[tokio::test]
async fn a_task_without_an_outcome_is_no_failure_and_the_next_round_calls_again() {
    let (cluster, runner) = errands().await;
    runner.saga().answers(&[Answer::Silence, Answer::Silence]);
    request(&runner, "a").await.expect_err("silence");
    cluster.advance(A_MOMENT).await;
    request(&runner, "b").await.expect_err("silence");
    runner.saga().calls();
    runner.saga().answers(&[Answer::NotYet, Answer::Yes, Answer::Yes]);
    cluster.advance(A_WHILE).await;
    assert_eq!(runner.saga().calls(), ["resolve a PENDING", "resolve b PENDING"]);
    cluster.advance(A_MOMENT).await;
    assert_eq!(runner.saga().calls(), ["resolve a PENDING"]);
    assert_eq!(state(&runner, "a").await, Some(State::Done));
    cluster.finish().await;
}

#[tokio::test]
async fn a_failure_ends_the_round_and_the_next_one_starts_with_the_oldest() {
    let (cluster, runner) = errands().await;
    for id in ["b", "a"] {
        runner.saga().answers(&[Answer::Silence]);
        request(&runner, id).await.expect_err("silence");
        cluster.advance(A_MOMENT).await;
    }
    runner.saga().calls();
    runner.saga().answers(&[Answer::Silence]);
    cluster.advance(A_WHILE).await;
    assert_eq!(runner.saga().calls(), ["resolve b PENDING"]);
    runner.saga().answers(&[Answer::Yes, Answer::No]);
    cluster.advance(A_MOMENT).await;
    assert_eq!(runner.saga().calls(), ["resolve b PENDING", "resolve a PENDING"]);
    cluster.finish().await;
}
