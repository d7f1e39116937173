//! Requests, first ones and repetitions.

use std::time::Duration;

use super::errand::{Answer, State, errands, request, state};

#[tokio::test]
async fn a_request_is_recorded_then_asked_then_applied_and_its_repetition_makes_no_call() {
    let (cluster, runner) = errands().await;
    runner.saga().answers(&[Answer::Yes, Answer::No]);
    assert_eq!(request(&runner, "a").await.expect("answered"), State::Done);
    assert_eq!(request(&runner, "b").await.expect("answered"), State::Refused);
    assert_eq!(runner.saga().calls(), ["ask a PENDING", "ask b PENDING"]);
    assert_eq!(request(&runner, "a").await.expect("settled"), State::Done);
    assert!(runner.saga().calls().is_empty());
    cluster.finish().await;
}

#[tokio::test]
async fn a_request_whose_outcome_is_unknown_fails_and_its_repetition_calls_again() {
    let (cluster, runner) = errands().await;
    runner.saga().answers(&[Answer::Silence, Answer::Yes]);
    assert_eq!(request(&runner, "a").await.expect_err("silence").reason, "NOT_ANSWERED");
    assert_eq!(state(&runner, "a").await, Some(State::Pending));
    assert_eq!(request(&runner, "a").await.expect("answered"), State::Done);
    assert_eq!(runner.saga().calls(), ["ask a PENDING", "ask a PENDING"]);
    cluster.finish().await;
}

#[tokio::test]
async fn each_step_is_committed_before_the_next_call_and_an_outcome_that_changes_nothing_ends_the_saga() {
    let (cluster, runner) = errands().await;
    runner.saga().answers(&[Answer::Unknown, Answer::No, Answer::Noted]);
    assert_eq!(request(&runner, "a").await.expect("answered"), State::Refused);
    assert_eq!(runner.saga().calls(), ["ask a PENDING", "ask a WITHDRAWING"]);
    assert_eq!(request(&runner, "b").await.expect("not settled"), State::Pending);
    assert_eq!(runner.saga().calls(), ["ask b PENDING"]);
    cluster.finish().await;
}

#[tokio::test]
async fn while_the_circuit_is_open_nothing_new_is_recorded_and_what_is_recorded_goes_on() {
    let (cluster, runner) = errands().await;
    runner.saga().answers(&[Answer::Silence, Answer::Yes]);
    request(&runner, "a").await.expect_err("silence");

    runner.saga().open_circuit().await;
    let error = request(&runner, "b").await.expect_err("not asked");
    assert_eq!(error.reason, "NOT_ASKED");
    let retry_after = error.retry_after.expect("a retry delay");
    assert!(retry_after < Duration::from_secs(60), "{error:?} does not have the circuit's retry delay");
    assert_eq!(state(&runner, "b").await, None);

    runner.saga().open_circuit().await;
    assert_eq!(request(&runner, "a").await.expect("it is recorded already"), State::Done);
    assert_eq!(runner.saga().calls(), ["ask a PENDING", "ask a PENDING"]);
    cluster.finish().await;
}
