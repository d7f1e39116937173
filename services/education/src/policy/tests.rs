//! The effect of each event of an enrollment.

use std::sync::Arc;

use contracts::enrollment::v1::{EnrollmentCancelled, EnrollmentCompleted, EnrollmentRejected, EnrollmentSummary};
use engine::{Decide, Decision};
use jumun_core::Envelope;
use prost::Message as _;

use super::*;

#[tokio::test]
async fn a_paid_enrollment_registers_its_learner_once() {
    let clock = Clock::manual();
    let mut decide = decision(effect_of(&clock, enrolled(Some(summary()))).await);
    let Ok(Decision::Save(registration, _)) = decide(None) else { panic!("nobody was registered") };
    let expected = Registration {
        id: "7".to_owned(),
        learner: "learners/hana".to_owned(),
        course: "courses/rust-101".to_owned(),
        state: State::Registered,
        create_time: clock.now(),
        update_time: clock.now(),
    };
    assert_eq!(registration, expected);
    assert!(matches!(decide(Some(&expected)), Ok(Decision::Leave)), "the same enrollment registers nobody again");
}

#[tokio::test]
async fn a_cancelled_enrollment_cancels_its_registration() {
    let clock = Clock::manual();
    let mut opening = decision(effect_of(&clock, enrolled(Some(summary()))).await);
    let Ok(Decision::Save(registration, _)) = opening(None) else { panic!("nobody was registered") };
    let cancelled = EnrollmentCancelled { enrollment: "enrollments/7".to_owned(), reason: String::new() };
    let mut decide = decision(effect_of(&clock, Kind::Cancelled(cancelled)).await);
    let Ok(Decision::Save(registration, _)) = decide(Some(&registration)) else { panic!("it was not cancelled") };
    assert_eq!(registration.state, State::Cancelled);
    assert!(decide(None).is_err(), "its registration came before, so a missing one is a dead letter");
}

#[tokio::test]
async fn other_events_are_ignored() {
    let enrollment = || "enrollments/7".to_owned();
    let ignored = [
        Kind::Rejected(EnrollmentRejected { enrollment: enrollment(), ..Default::default() }),
        Kind::Completed(EnrollmentCompleted { enrollment: enrollment() }),
    ];
    for kind in ignored {
        let effect = effect_of(&Clock::manual(), kind.clone()).await;
        assert!(matches!(effect, Ok(EventEffect::Ignore)), "{kind:?}");
    }
}

#[tokio::test]
async fn an_incomplete_event_becomes_a_dead_letter() {
    for kind in [enrolled(None), Kind::Cancelled(EnrollmentCancelled::default())] {
        let error = effect_of(&Clock::manual(), kind.clone()).await.err().expect("it is refused");
        assert_eq!((error.reason, error.is_transient()), ("UNREADABLE_EVENT", false), "{kind:?}");
    }
}

async fn effect_of(clock: &Clock, kind: Kind) -> Result<EventEffect<Registration>, Error> {
    let message = Envelope {
        context: "enrollment".to_owned(),
        sequence: 0,
        aggregate: "7".to_owned(),
        number: 1,
        kind: String::new(),
        payload: EnrollmentEvent { kind: Some(kind) }.encode_to_vec(),
        time: clock.now(),
        traceparent: None,
        causation: None,
    };
    on_enrollment_event(clock)(Arc::new(message)).await
}

fn decision(effect: Result<EventEffect<Registration>, Error>) -> Decide<Registration> {
    match effect {
        Ok(EventEffect::Decide(id, decide)) if id == "7" => decide,
        _ => panic!("no decision upon the enrollment's registration"),
    }
}

fn enrolled(summary: Option<EnrollmentSummary>) -> Kind {
    Kind::Enrolled(LearnerEnrolled { enrollment: "enrollments/7".to_owned(), payment: String::new(), summary })
}

fn summary() -> EnrollmentSummary {
    EnrollmentSummary {
        learner: "learners/hana".to_owned(),
        course: "courses/rust-101".to_owned(),
        course_title: "Rust".to_owned(),
        fee: None,
    }
}
