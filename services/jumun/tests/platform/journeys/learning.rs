//! Requirements §1.3, sentences 2, 3 and 4: registered, completed or cancelled, and shown on the learner's page.

use contracts::{
    dashboard::v1::{WatchViewsRequest, dashboard_service_client::DashboardServiceClient, watch_views_response::View},
    education::v1::registration::State as Registered,
    enrollment::v1::{CancelEnrollmentRequest, Enrollment, enrollment::State},
};
use jumun_core::reason_of;
use tonic::Code;

use super::{
    food::{inner, named_by, wish},
    school::{HANA, School, apply},
};

#[tokio::test]
async fn when_paid_the_education_context_registers_the_learner() {
    let school = School::open().await;
    let enrollment = school.place("first").await;
    let registration = school.registration(&enrollment.name).await.expect("a registration");
    assert_eq!((registration.state(), &registration.enrollment), (Registered::Registered, &enrollment.name));
    assert_eq!((registration.learner, registration.course), (enrollment.learner, enrollment.course));
    let declined = school.enroll("second", &apply("tok_declined")).await.expect_err("no money");
    let error = school.registration(&named_by(&declined, "enrollment")).await.expect_err("no registration");
    assert_eq!(error.code(), Code::NotFound);
    school.close().await;
}

#[tokio::test]
async fn with_education_down_applications_are_still_taken_and_it_catches_up() {
    let mut school = School::open().await;
    school.cluster.restart_without(&["education"]).await;
    let mut enrolled = Vec::new();
    for index in 0..10 {
        enrolled.push(school.place(&index.to_string()).await.name);
    }
    school.cancel(&enrolled[0]).await.expect("it is not completed");
    school.cluster.restart().await;
    let state = school.registration(&enrolled[0]).await.expect("a registration").state();
    assert_eq!(state, Registered::Cancelled);
    for enrollment in &enrolled[1..] {
        let state = school.registration(enrollment).await.expect("a registration").state();
        assert_eq!(state, Registered::Registered);
    }
    school.close().await;
}

#[tokio::test]
async fn the_learner_completes_the_course() {
    let school = School::open().await;
    let enrollment = school.place("first").await.name;
    for _ in 0..2 {
        assert_eq!(school.complete(&enrollment).await.expect("registered").state(), Registered::Completed);
    }
    assert_eq!(school.get(&enrollment).await.state(), State::Completed);
    assert_eq!(school.states_of(&enrollment).await, ["COMPLETED", "CAPTURED", "TAKEN"]);
    school.close().await;
}

#[tokio::test]
async fn a_completed_course_can_no_longer_be_cancelled_by_anybody() {
    let school = School::open().await;
    let enrollment = school.place("first").await.name;
    school.complete(&enrollment).await.expect("registered");
    let error = school.cancel(&enrollment).await.expect_err("too late");
    assert_eq!((error.code(), reason_of(&error).as_str()), (Code::FailedPrecondition, "ENROLLMENT_NOT_CANCELLABLE"));
    let error = school.cancel_by_school(&enrollment).await.expect_err("too late");
    assert_eq!((error.code(), reason_of(&error).as_str()), (Code::FailedPrecondition, "REGISTRATION_COMPLETED"));
    assert_eq!(school.states_of(&enrollment).await, ["COMPLETED", "CAPTURED", "TAKEN"]);
    school.close().await;
}

#[tokio::test]
async fn the_learner_cancels_the_enrollment_the_payment_is_refunded_and_the_registration_cancelled() {
    let school = School::open().await;
    let enrollment = school.place("first").await.name;
    let cancelled = school.cancel(&enrollment).await.expect("not completed");
    assert_eq!((cancelled.state(), cancelled.state_reason.as_str()), (State::Cancelled, "CANCELLED_BY_LEARNER"));
    assert_eq!(school.states_of(&enrollment).await, ["CANCELLED", "REFUNDED", "GIVEN_BACK"]);
    assert_eq!(school.registration(&enrollment).await.expect("a registration").state(), Registered::Cancelled);
    assert_eq!(school.cancel(&enrollment).await.expect("again"), cancelled);
    let error = school.complete(&enrollment).await.expect_err("not registered any more");
    assert_eq!((error.code(), reason_of(&error).as_str()), (Code::FailedPrecondition, "REGISTRATION_NOT_ACTIVE"));
    school.close().await;
}

#[tokio::test]
async fn the_same_cancellation_repeated_gets_the_first_answer() {
    let school = School::open().await;
    let enrollment = school.place("first").await.name;
    let request = CancelEnrollmentRequest { name: enrollment, request_id: "cancel-1".to_owned() };
    let first = school.enrollments().cancel_enrollment(request.clone()).await.expect("not completed");
    let second = school.enrollments().cancel_enrollment(request).await.expect("repeated");
    assert_eq!(second.metadata().get("idempotency-replayed").expect("a mark"), "true");
    assert_eq!(first.into_inner(), second.into_inner());
    school.close().await;
}

#[tokio::test]
async fn what_the_school_cancels_is_refunded() {
    let school = School::open().await;
    let enrollment = school.place("first").await.name;
    assert_eq!(school.cancel_by_school(&enrollment).await.expect("registered").state(), Registered::Cancelled);
    let cancelled = school.get(&enrollment).await;
    assert_eq!((cancelled.state(), cancelled.state_reason.as_str()), (State::Cancelled, "REGISTRATION_CANCELLED"));
    assert_eq!(school.states_of(&enrollment).await, ["CANCELLED", "REFUNDED", "GIVEN_BACK"]);
    school.close().await;
}

#[tokio::test]
async fn a_cancellation_that_overtakes_the_event_of_a_completion_is_kept_and_refunded() {
    let mut school = School::open().await;
    let enrollment = school.place("first").await.name;
    // The enrollment context does not receive the completion before the cancellation.
    school.cluster.restart_without(&["enrollment"]).await;
    school.complete(&enrollment).await.expect("registered");
    school.cluster.restart_without(&["education"]).await;
    let completed = school.get(&enrollment).await.state() == State::Completed;
    let cancelled = school.cancel(&enrollment).await;
    // The embedded bus delivers nothing while the publisher is down; a broker has the event already.
    assert_eq!(cancelled.is_err(), completed, "{cancelled:?}");
    school.cluster.restart().await;
    let expected = if completed { ["COMPLETED", "CAPTURED", "TAKEN"] } else { ["CANCELLED", "REFUNDED", "GIVEN_BACK"] };
    assert_eq!(school.states_of(&enrollment).await, expected);
    school.close().await;
}

#[tokio::test]
async fn my_page_shows_the_learners_enrollments() {
    let school = School::open().await;
    let completed = school.place("first").await.name;
    let cancelled = school.place("second").await.name;
    school.enroll("third", &apply("tok_declined")).await.expect_err("no money");
    let other = Enrollment { learner: "learners/theo".to_owned(), ..apply("tok_visa") };
    school.enroll("fourth", &other).await.expect("a good card");
    school.complete(&completed).await.expect("registered");
    school.cancel(&cancelled).await.expect("not completed");

    let page = school.page_of(HANA).await;
    let shown: Vec<_> = page.iter().map(|view| (view.state.as_str(), view.payment_state.as_str())).collect();
    assert_eq!(shown, [("REJECTED", "DECLINED"), ("CANCELLED", "REFUNDED"), ("COMPLETED", "CAPTURED")]);
    assert!(page.iter().all(|view| view.course_title == "Rust for the patient" && view.learner == HANA));
    assert_eq!((&page[2].enrollment, page[2].registration_state.as_str()), (&completed, "COMPLETED"));
    let history: Vec<_> = page[2].history.iter().map(|entry| entry.state.as_str()).collect();
    for kind in ["PAYMENT_AUTHORIZED", "LEARNER_ENROLLED", "PAYMENT_CAPTURED", "LEARNER_REGISTERED", "COURSE_COMPLETED"]
    {
        assert!(history.contains(&kind), "{history:?}");
    }
    assert_eq!(school.page_of("learners/nobody").await, []);
    school.close().await;
}

#[tokio::test]
async fn my_page_needs_no_other_context_and_catches_up() {
    let mut school = School::open().await;
    school.cluster.restart_without(&["dashboard"]).await;
    let enrollment = school.place("first").await.name;
    school.cluster.restart_without(&["enrollment", "education", "payment"]).await;
    assert!(school.page_of(HANA).await.len() <= 1, "it answers from its own database");
    school.cluster.restart().await;
    school.cancel(&enrollment).await.expect("not completed");
    school.cluster.restart_without(&["enrollment", "education", "payment"]).await;
    assert_eq!(school.page_of(HANA).await[0].state, "CANCELLED");
    school.cluster.restart().await;
    school.close().await;
}

#[tokio::test]
async fn a_watch_of_the_views_shows_orders_and_enrollments_change() {
    let school = School::open().await;
    let mut dashboard = DashboardServiceClient::new(school.cluster.channel());
    let mut views = inner(dashboard.watch_views(WatchViewsRequest {}).await).expect("a stream");
    let enrollment = school.place("first").await.name;
    let request =
        contracts::order::v1::CreateOrderRequest { order: Some(wish("tok_visa")), request_id: "second".to_owned() };
    let mut orders = contracts::order::v1::order_service_client::OrderServiceClient::new(school.cluster.channel());
    let order = inner(orders.create_order(request).await).expect("a good card").name;
    let (mut saw_enrollment, mut saw_order) = (false, false);
    while !(saw_enrollment && saw_order) {
        let view = views.message().await.expect("no error").expect("a view").view;
        saw_enrollment |= matches!(&view, Some(View::EnrollmentView(view)) if view.enrollment == enrollment);
        saw_order |= matches!(&view, Some(View::OrderView(view)) if view.order == order);
    }
    drop(views);
    school.close().await;
}
