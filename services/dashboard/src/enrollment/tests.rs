//! The view of an enrollment, for events in any order.

use contracts::{
    Money as Wire,
    education::v1::{CourseCompleted, LearnerRegistered, RegistrationCancelled},
    enrollment::v1::{EnrollmentCancelled, EnrollmentCompleted, EnrollmentRejected, LearnerEnrolled},
    payment::v1::{PaymentAuthorized, PaymentCaptured, PaymentEvent, PaymentRefunded, payment_event},
};
use prost::Message as _;

use super::*;

const ENROLLMENT: &str = "enrollments/7";

/// The context, and the payload of its event.
type Event = (&'static str, Vec<u8>);

#[test]
fn a_completed_course_is_shown_with_its_title_states_and_history() {
    let events = [authorized(), enrolled(), captured(), registered(), course_completed(), completed()];
    let view = fold_both_ways(&events);
    assert_eq!((view.learner.as_str(), view.course.as_str()), ("learners/hana", "courses/rust-101"));
    assert_eq!((view.course_title.as_str(), view.fee), ("Rust", Money::new("KRW", 90_000).ok()));
    assert_eq!(view.state, Some(EnrollmentState::Completed));
    assert_eq!((view.payment_state.as_str(), view.registration_state.as_str()), ("CAPTURED", "COMPLETED"));
    let history: Vec<_> = view.history.iter().map(|entry| entry.kind.as_str()).collect();
    let expected = [
        "PAYMENT_AUTHORIZED",
        "LEARNER_ENROLLED",
        "PAYMENT_CAPTURED",
        "LEARNER_REGISTERED",
        "COURSE_COMPLETED",
        "ENROLLMENT_COMPLETED",
    ];
    assert_eq!(history, expected);
    assert_eq!((view.create_time, view.update_time), (Time(1), Time(5)));
}

#[test]
fn a_cancellation_outweighs_an_earlier_completion() {
    let events = [
        authorized(),
        enrolled(),
        captured(),
        registered(),
        course_completed(),
        cancelled(),
        unregistered(),
        refunded(),
    ];
    let view = fold_both_ways(&events);
    assert_eq!(view.state, Some(EnrollmentState::Cancelled));
    assert_eq!((view.payment_state.as_str(), view.registration_state.as_str()), ("REFUNDED", "CANCELLED"));
}

#[test]
fn a_rejected_enrollment_is_shown_as_rejected() {
    let kind = enrollment_event::Kind::Rejected(EnrollmentRejected {
        enrollment: ENROLLMENT.to_owned(),
        reason: "INSUFFICIENT_FUNDS".to_owned(),
        summary: Some(summary()),
    });
    let view = fold_both_ways(&[enrolling(kind)]);
    assert_eq!((view.state, view.course_title.as_str()), (Some(EnrollmentState::Rejected), "Rust"));
}

#[test]
fn the_state_is_unknown_until_an_event_of_the_enrollment_arrives() {
    let view = fold_both_ways(&[authorized(), registered(), course_completed()]);
    assert_eq!((view.state, view.fee), (None, None));
}

#[test]
fn events_about_other_subjects_are_ignored_and_unreadable_ones_are_errors() {
    let order = PaymentEvent {
        payable: "orders/7".to_owned(),
        amount: None,
        kind: Some(payment_event::Kind::Captured(PaymentCaptured {})),
    };
    for (context, payload) in [("payment", order.encode_to_vec()), ("store", enrolled().1), ("education", Vec::new())] {
        assert!(matches!(EnrollmentView::fold(None, &message(0, &(context, payload))), Ok(None)), "{context}");
    }
    let nothing = enrolling(enrollment_event::Kind::Enrolled(LearnerEnrolled {
        enrollment: ENROLLMENT.to_owned(),
        ..Default::default()
    }));
    let unnamed = enrolling(enrollment_event::Kind::Completed(EnrollmentCompleted::default()));
    for event in [nothing, unnamed, ("education", b"\xff\xff".to_vec())] {
        let error = EnrollmentView::fold(None, &message(0, &event)).expect_err("unreadable");
        assert_eq!(error.reason, "UNREADABLE_EVENT");
    }
}

#[test]
fn states_have_the_names_that_their_contexts_use() {
    for (state, name) in EnrollmentState::names() {
        assert!(contracts::enrollment::v1::enrollment::State::from_str_name(name).is_some(), "{name}");
        assert_eq!(serde_json::to_value(state).expect("JSON"), name, "so does the history");
    }
    for event in [registered(), course_completed(), unregistered()] {
        let view = fold_both_ways(&[event]);
        let state = contracts::education::v1::registration::State::from_str_name(&view.registration_state);
        assert!(state.is_some(), "{view:?}");
    }
}

/// Forwards, backwards, and each event twice.
fn fold_both_ways(events: &[Event]) -> EnrollmentView {
    let messages: Vec<_> = events.iter().enumerate().map(|(index, event)| message(index, event)).collect();
    let fold = |view: Option<EnrollmentView>, message: &Envelope| {
        EnrollmentView::fold(view.as_ref(), message).expect("a readable event")
    };
    let view = messages.iter().fold(None, fold).expect("an event about an enrollment");
    assert_eq!(messages.iter().rev().fold(None, fold).as_ref(), Some(&view), "backwards");
    assert_eq!(messages.iter().fold(Some(view.clone()), fold).as_ref(), Some(&view), "once more");
    view
}

fn message(index: usize, (context, payload): &Event) -> Envelope {
    let number = i64::try_from(index).expect("few");
    Envelope {
        context: (*context).to_owned(),
        sequence: 0,
        aggregate: "7".to_owned(),
        number,
        kind: String::new(),
        payload: payload.clone(),
        time: Time(number),
        traceparent: None,
        causation: None,
    }
}

fn summary() -> EnrollmentSummary {
    EnrollmentSummary {
        learner: "learners/hana".to_owned(),
        course: "courses/rust-101".to_owned(),
        course_title: "Rust".to_owned(),
        fee: Some(Wire { currency_code: "KRW".to_owned(), units: 90_000, nanos: 0 }),
    }
}

fn paying(kind: payment_event::Kind) -> Event {
    let event = PaymentEvent { payable: ENROLLMENT.to_owned(), amount: summary().fee, kind: Some(kind) };
    ("payment", event.encode_to_vec())
}

fn authorized() -> Event {
    paying(payment_event::Kind::Authorized(PaymentAuthorized {}))
}

fn captured() -> Event {
    paying(payment_event::Kind::Captured(PaymentCaptured {}))
}

fn refunded() -> Event {
    paying(payment_event::Kind::Refunded(PaymentRefunded {}))
}

fn enrolling(kind: enrollment_event::Kind) -> Event {
    ("enrollment", EnrollmentEvent { kind: Some(kind) }.encode_to_vec())
}

fn enrolled() -> Event {
    enrolling(enrollment_event::Kind::Enrolled(LearnerEnrolled {
        enrollment: ENROLLMENT.to_owned(),
        payment: "payments/enrollment-7".to_owned(),
        summary: Some(summary()),
    }))
}

fn cancelled() -> Event {
    enrolling(enrollment_event::Kind::Cancelled(EnrollmentCancelled {
        enrollment: ENROLLMENT.to_owned(),
        reason: "CANCELLED_BY_LEARNER".to_owned(),
    }))
}

fn completed() -> Event {
    enrolling(enrollment_event::Kind::Completed(EnrollmentCompleted { enrollment: ENROLLMENT.to_owned() }))
}

fn registering(kind: registration_event::Kind) -> Event {
    let event = RegistrationEvent { enrollment: ENROLLMENT.to_owned(), kind: Some(kind) };
    ("education", event.encode_to_vec())
}

fn registered() -> Event {
    registering(registration_event::Kind::Registered(LearnerRegistered {}))
}

fn course_completed() -> Event {
    registering(registration_event::Kind::Completed(CourseCompleted {}))
}

fn unregistered() -> Event {
    registering(registration_event::Kind::Cancelled(RegistrationCancelled {}))
}
