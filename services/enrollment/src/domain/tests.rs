//! Every rule of an enrollment in every state.

use jumun_core::EventKind;

use super::*;

const ENROLLED: Time = Time(2_000_000);
const NOW: Time = Time(3_000_000);

/// The state afterwards and the event, or the error.
type Outcome = Result<(State, &'static str), &'static str>;
type Act = fn(&Enrollment) -> Result<Decision<Enrollment>, Error>;

#[test]
fn every_rule_has_its_outcome_in_every_state() {
    use State::{Cancelled, Completed, Enrolled, Pending, Rejected, Voiding};
    let enrolled = || Ok((Enrolled, "LearnerEnrolled"));
    let voiding = || Ok((Voiding, ""));
    let rejected = || Ok((Rejected, "EnrollmentRejected"));
    let cancelled = || Ok((Cancelled, "EnrollmentCancelled"));
    let completed = || Ok((Completed, "EnrollmentCompleted"));
    let unpaid = || Err("ENROLLMENT_PENDING");
    let too_late = || Err("ENROLLMENT_NOT_CANCELLABLE");
    let left = |state| Ok((state, ""));
    let [p, v, r, e, c, x] =
        [Pending, Voiding, Rejected, Enrolled, Completed, Cancelled].map(|state| move || left(state));

    #[rustfmt::skip]
    let table: [(&str, Act, [Outcome; 6]); 6] = [
        //                                                                             PENDING     VOIDING     REJECTED    ENROLLED     COMPLETED   CANCELLED
        ("confirmed", |enrollment| enrollment.confirm("payments/enrollment-7", NOW), [enrolled(), v(),        r(),        e(),         c(),        x()]),
        ("voiding started", |enrollment| enrollment.start_voiding(NOW),              [voiding(),  v(),        r(),        e(),         c(),        x()]),
        ("rejected", |enrollment| enrollment.reject("WHY", NOW),                     [rejected(), rejected(), r(),        e(),         c(),        x()]),
        ("the learner cancels", |enrollment| enrollment.cancel(NOW),                 [unpaid(),   unpaid(),   too_late(), cancelled(), too_late(), x()]),
        ("the school cancels", |enrollment| enrollment.cancel_by_school(NOW),        [p(),        v(),        r(),        cancelled(), c(),        x()]),
        ("the course is completed", |enrollment| enrollment.complete(NOW),           [p(),        v(),        r(),        completed(), c(),        x()]),
    ];
    for (what, act, outcomes) in table {
        assert_eq!(State::ALL.len(), outcomes.len());
        for ((state, name), expected) in State::names().zip(outcomes) {
            let before = enrollment(state);
            assert_eq!(outcome(&before, act(&before)), expected, "{what} when {name}");
        }
    }
}

#[test]
fn the_state_reason_tells_learner_and_school_apart() {
    let by = |decision| match decision {
        Ok(Decision::Save(Enrollment { state_reason, update_time: NOW, .. }, _)) => state_reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(by(enrollment(State::Enrolled).cancel(NOW)), "CANCELLED_BY_LEARNER");
    assert_eq!(by(enrollment(State::Enrolled).cancel_by_school(NOW)), "REGISTRATION_CANCELLED");
}

#[test]
fn events_contain_what_other_contexts_need_and_no_payment_method() {
    let Ok(Decision::Save(after, events)) = enrollment(State::Pending).confirm("payments/enrollment-7", NOW) else {
        panic!("not confirmed")
    };
    assert_eq!((after.payment.as_str(), after.enrolled_time), ("payments/enrollment-7", Some(NOW)));
    let summary = pb::EnrollmentSummary {
        learner: "learners/hana".to_owned(),
        course: "courses/rust-101".to_owned(),
        course_title: "Rust".to_owned(),
        fee: Some(contracts::Money { currency_code: "EUR".to_owned(), units: 9, nanos: 500_000_000 }),
    };
    let payload = pb::LearnerEnrolled {
        enrollment: "enrollments/7".to_owned(),
        payment: "payments/enrollment-7".to_owned(),
        summary: Some(summary),
    };
    assert_eq!(events, [event(Kind::Enrolled(payload))]);
}

#[test]
fn create_enrollment_answers_with_the_enrollment_as_it_was_confirmed() {
    for state in [State::Enrolled, State::Completed, State::Cancelled] {
        let confirmed = enrollment(state).as_confirmed().expect("it was confirmed");
        assert_eq!(
            (confirmed.state, confirmed.state_reason.as_str(), confirmed.update_time),
            (State::Enrolled, "", ENROLLED)
        );
    }
    assert_eq!(enrollment(State::Rejected).as_confirmed(), None);
}

fn outcome(before: &Enrollment, decision: Result<Decision<Enrollment>, Error>) -> Outcome {
    match decision {
        Ok(Decision::Leave) => Ok((before.state, "")),
        Ok(Decision::Save(after, events)) => {
            assert!(events.len() <= 1, "{events:?}");
            Ok((after.state, events.first().map(EventKind::kind).unwrap_or_default()))
        }
        Err(error) => Err(error.reason),
    }
}

fn enrollment(state: State) -> Enrollment {
    let was_confirmed = matches!(state, State::Enrolled | State::Completed | State::Cancelled);
    Enrollment {
        id: "7".to_owned(),
        learner: "learners/hana".to_owned(),
        course: "courses/rust-101".to_owned(),
        course_title: "Rust".to_owned(),
        fee: Money::new("EUR", 950).expect("a currency"),
        payment_method: "tok_visa".to_owned(),
        state,
        state_reason: if state == State::Cancelled { "CANCELLED_BY_LEARNER".to_owned() } else { String::new() },
        payment: String::new(),
        create_time: Time(1_000_000),
        enrolled_time: was_confirmed.then_some(ENROLLED),
        update_time: ENROLLED,
    }
}
