//! Requirements §1.3, sentence 1: a learner applies and pays at once; without a payment there is no enrollment.

use std::time::{Duration, Instant};

use contracts::{
    enrollment::v1::{Enrollment, ListEnrollmentsRequest, enrollment::State},
    payment::v1::payment::State as PaymentState,
};
use futures::future::join_all;
use jumun_core::reason_of;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::{
    food::{ABANDONED, LATE, inner, named_by, won, wrong_fields},
    school::{HANA, School, apply},
};

#[tokio::test]
async fn a_learner_applies_for_a_course_and_pays_at_once() {
    let school = School::open().await;
    let enrollment = school.enroll("first", &apply("tok_visa")).await.expect("a good card");
    assert_eq!(enrollment.state(), State::Enrolled);
    assert_eq!((enrollment.learner.as_str(), enrollment.course_title.as_str()), (HANA, "Rust for the patient"));
    assert_eq!(enrollment.payment, enrollment.name.replace("enrollments/", "payments/enrollment-"));
    let payment = school.payment_of(&enrollment.name).await.expect("a payment");
    assert_eq!((payment.payable, payment.amount), (enrollment.name.clone(), enrollment.fee));
    assert_eq!(school.states_of(&enrollment.name).await, ["ENROLLED", "CAPTURED", "TAKEN"]);
    school.close().await;
}

#[tokio::test]
async fn no_payment_no_enrollment() {
    let school = School::open().await;
    for _ in 0..2 {
        let error = school.enroll("first", &apply("tok_declined")).await.expect_err("no money");
        assert_eq!((error.code(), reason_of(&error).as_str()), (Code::FailedPrecondition, "PAYMENT_DECLINED"));
        let info = error.get_details_error_info().expect("an ErrorInfo");
        assert_eq!(info.metadata["decline_reason"], "INSUFFICIENT_FUNDS");
        assert_eq!(school.states_of(&named_by(&error, "enrollment")).await, ["REJECTED", "DECLINED", "DECLINED"]);
    }
    let error = school.enroll("second", &apply("tok_unheard_of")).await.expect_err("no card");
    assert_eq!(
        (error.code(), wrong_fields(&error)),
        (Code::InvalidArgument, vec!["enrollment.payment_method".to_owned()])
    );
    school.close().await;
}

#[tokio::test]
async fn payment_that_fails_or_never_answers_leaves_no_enrollment_and_no_charge() {
    for (token, code, reason) in [
        ("tok_error", Code::Unavailable, "PAYMENT_UNAVAILABLE"),
        ("tok_lost", Code::DeadlineExceeded, "PAYMENT_TIMED_OUT"),
        ("tok_late", Code::DeadlineExceeded, "PAYMENT_TIMED_OUT"),
    ] {
        let school = School::open().await;
        let error = school.enroll("first", &apply(token)).await.expect_err("the outcome is unknown");
        let enrollment = unconfirmed(&error, code, reason);
        assert_eq!(school.get(&enrollment).await.state(), State::Pending);
        let error = school.cancel(&enrollment).await.expect_err("not paid");
        assert_eq!(reason_of(&error), "ENROLLMENT_PENDING");

        school.cluster.advance(ABANDONED).await;
        let rejected = school.get(&enrollment).await;
        assert_eq!((rejected.state(), rejected.state_reason.as_str()), (State::Rejected, "PAYMENT_UNCONFIRMED"));
        let tombstone = school.payment_of(&enrollment).await.expect("a tombstone");
        assert_eq!(tombstone.state(), PaymentState::Voided);
        school.cluster.advance(LATE).await;
        assert_eq!(school.states_of(&enrollment).await, ["REJECTED", "VOIDED", "RELEASED"], "{token}");
        let error = school.enroll("first", &apply(token)).await.expect_err("the same answer from now on");
        assert_eq!((error.code(), reason_of(&error).as_str()), (Code::Aborted, "ENROLLMENT_NOT_MADE"));
        assert_eq!(named_by(&error, "enrollment"), enrollment);
        school.close().await;
    }
}

#[tokio::test]
async fn a_slow_payment_is_waited_for() {
    let school = School::open().await;
    let begun = Instant::now();
    let enrollment = school.enroll("first", &apply("tok_slow")).await.expect("slow, but good");
    assert!(begun.elapsed() >= Duration::from_millis(400), "{:?}", begun.elapsed());
    assert_eq!(enrollment.state(), State::Enrolled);
    school.close().await;
}

#[tokio::test]
async fn with_payment_down_there_is_a_clear_error_and_no_enrollment_or_charge_is_left_behind() {
    let mut school = School::open().await;
    school.cluster.restart_without(&["payment"]).await;
    let error = school.enroll("first", &apply("tok_visa")).await.expect_err("payment is down");
    let enrollment = unconfirmed(&error, Code::Unavailable, "PAYMENT_UNAVAILABLE");
    // The outcome is still unknown, so the recovery does not guess.
    school.cluster.advance(ABANDONED).await;
    assert_eq!(school.get(&enrollment).await.state(), State::Pending);
    school.cluster.restart().await;
    school.cluster.advance(ABANDONED).await;
    assert_eq!(school.states_of(&enrollment).await, ["REJECTED", "VOIDED", "RELEASED"]);
    school.close().await;
}

#[tokio::test]
async fn an_application_that_was_interrupted_goes_on_where_it_stopped() {
    let mut school = School::open().await;
    school.cluster.restart_without(&["payment"]).await;
    let error = school.enroll("first", &apply("tok_visa")).await.expect_err("payment is down");
    school.cluster.restart().await;
    let enrollment = school.enroll("first", &apply("tok_visa")).await.expect("payment is back");
    assert_eq!((enrollment.state(), &enrollment.name), (State::Enrolled, &named_by(&error, "enrollment")));
    school.cluster.advance(ABANDONED).await;
    assert_eq!(school.states_of(&enrollment.name).await, ["ENROLLED", "CAPTURED", "TAKEN"]);
    school.close().await;
}

#[tokio::test]
async fn the_same_application_fifty_times_at_once_is_one_enrollment_and_one_charge() {
    let mut school = School::open().await;
    let application = apply("tok_visa");
    let answers = join_all((0..50).map(|_| school.enroll("first", &application))).await;
    let answers: Vec<_> = answers.into_iter().map(|answer| answer.expect("an enrollment")).collect();
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(school.states("enrollment", "enrollment", "enrollments").await.len(), 1);
    assert_eq!(school.charges().await.len(), 1);
    // Whatever its state is by now, and after a restart.
    school.cluster.settle().await;
    school.complete(&answers[0].name).await.expect("registered");
    school.cluster.restart().await;
    assert_eq!(school.enroll("first", &application).await.expect("the same answer"), answers[0]);
    let other = Enrollment { course: "courses/other".to_owned(), ..application };
    let error = school.enroll("first", &other).await.expect_err("another body");
    assert_eq!(reason_of(&error), "REQUEST_ID_REUSED");
    school.close().await;
}

#[tokio::test]
async fn everything_wrong_with_an_application_is_reported_at_once() {
    let school = School::open().await;
    let free = Enrollment { fee: Some(won(0)), ..apply("tok_visa") };
    let error = school.enroll("first", &free).await.expect_err("it costs nothing");
    assert_eq!((error.code(), wrong_fields(&error)), (Code::InvalidArgument, vec!["enrollment.fee".to_owned()]));
    let error = school.enroll("", &Enrollment::default()).await.expect_err("it says nothing");
    let all = ["course", "course_title", "fee", "learner", "payment_method"].map(|field| format!("enrollment.{field}"));
    assert_eq!(wrong_fields(&error), [all.as_slice(), &["request_id".to_owned()]].concat());
    school.close().await;
}

#[tokio::test]
async fn enrollments_are_listed_by_learner_course_and_state() {
    let school = School::open().await;
    let mine = school.place("first").await.name;
    let other = Enrollment { learner: "learners/theo".to_owned(), ..apply("tok_visa") };
    school.enroll("second", &other).await.expect("a good card");
    for (filter, count) in [
        ("learner = learners/hana AND state = ENROLLED", 1),
        ("course = courses/rust-101", 2),
        ("state = COMPLETED", 0),
    ] {
        let request = ListEnrollmentsRequest { filter: filter.to_owned(), ..Default::default() };
        let page = inner(school.enrollments().list_enrollments(request).await).expect("a page").enrollments;
        assert_eq!(page.len(), count, "{filter}");
        assert!(page.iter().any(|enrollment| enrollment.name == mine) || count != 1, "{page:?}");
    }
    school.close().await;
}

/// The enrollment that waits for payment.
fn unconfirmed(error: &Status, code: Code, reason: &str) -> String {
    assert_eq!((error.code(), reason_of(error).as_str()), (code, reason), "{error:?}");
    let retry = error.get_details_retry_info().expect("a RetryInfo").retry_delay;
    assert!(retry.is_some_and(|delay| delay >= Duration::from_secs(1)), "{retry:?}");
    named_by(error, "enrollment")
}
