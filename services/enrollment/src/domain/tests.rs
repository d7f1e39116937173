//! Every state × everything that can happen to an enrollment.

use kit::EventKind;

use super::*;

const ENROLLED: Time = Time(2_000_000);
const NOW: Time = Time(3_000_000);

/// The state that it is in afterwards, and what is announced; or the refusal.
type Outcome = Result<(State, &'static str), &'static str>;
type Act = fn(&Enrollment) -> Result<Decision<Enrollment>, Error>;

#[test]
fn every_state_answers_everything_that_can_happen() {
    use State::{Cancelled, Completed, Enrolled, Pending, Rejected, Voiding};
    let enrolled = || Ok((Enrolled, "LearnerEnrolled"));
    let voiding = || Ok((Voiding, ""));
    let rejected = || Ok((Rejected, "EnrollmentRejected"));
    let withdrawn = || Ok((Cancelled, "EnrollmentCancelled"));
    let completed = || Ok((Completed, "EnrollmentCompleted"));
    let unpaid = || Err("ENROLLMENT_PENDING");
    let too_late = || Err("ENROLLMENT_NOT_CANCELLABLE");
    let left = |state| Ok((state, ""));
    let [p, v, r, e, c, x] =
        [Pending, Voiding, Rejected, Enrolled, Completed, Cancelled].map(|state| move || left(state));

    #[rustfmt::skip]
    let table: [(&str, Act, [Outcome; 6]); 6] = [
        //                                                                          PENDING     VOIDING     REJECTED    ENROLLED     COMPLETED   CANCELLED
        ("held", |enrollment| enrollment.stand("payments/enrollment-7", NOW),       [enrolled(), v(),        r(),        e(),         c(),        x()]),
        ("given up", |enrollment| enrollment.give_up(NOW),                          [voiding(), v(),        r(),        e(),         c(),        x()]),
        ("rejected", |enrollment| enrollment.reject("WHY", NOW),                    [rejected(), rejected(), r(),       e(),         c(),        x()]),
        ("the learner cancels", |enrollment| enrollment.cancel(NOW),                [unpaid(),  unpaid(),   too_late(), withdrawn(), too_late(), x()]),
        ("the school cancels", |enrollment| enrollment.cancel_by_school(NOW),       [p(),       v(),        r(),        withdrawn(), c(),        x()]),
        ("the course is completed", |enrollment| enrollment.complete(NOW),          [p(),       v(),        r(),        completed(), c(),        x()]),
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
fn what_is_withdrawn_says_by_whom() {
    let by = |decision| match decision {
        Ok(Decision::Save(Enrollment { state_reason, update_time: NOW, .. }, _)) => state_reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(by(enrollment(State::Enrolled).cancel(NOW)), "CANCELLED_BY_LEARNER");
    assert_eq!(by(enrollment(State::Enrolled).cancel_by_school(NOW)), "REGISTRATION_CANCELLED");
}

#[test]
fn what_is_announced_says_what_others_need_to_know_and_nothing_about_the_card() {
    let Ok(Decision::Save(after, events)) = enrollment(State::Pending).stand("payments/enrollment-7", NOW) else {
        panic!("it does not stand")
    };
    assert_eq!((after.payment.as_str(), after.enrolled_time), ("payments/enrollment-7", Some(NOW)));
    let summary = pb::EnrollmentSummary {
        learner: "learners/hana".to_owned(),
        course: "courses/rust-101".to_owned(),
        course_title: "Rust".to_owned(),
        fee: Some(contracts::Money { currency_code: "EUR".to_owned(), units: 9, nanos: 500_000_000 }),
    };
    let happened = pb::LearnerEnrolled {
        enrollment: "enrollments/7".to_owned(),
        payment: "payments/enrollment-7".to_owned(),
        summary: Some(summary),
    };
    assert_eq!(events, [event(Kind::Enrolled(happened))]);
}

#[test]
fn create_enrollment_answers_the_enrollment_as_it_was_when_it_was_paid() {
    for state in [State::Enrolled, State::Completed, State::Cancelled] {
        let made = enrollment(state).as_made().expect("it stood");
        assert_eq!((made.state, made.state_reason.as_str(), made.update_time), (State::Enrolled, "", ENROLLED));
    }
    assert_eq!(enrollment(State::Rejected).as_made(), None);
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
    let stood = matches!(state, State::Enrolled | State::Completed | State::Cancelled);
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
        enrolled_time: stood.then_some(ENROLLED),
        update_time: ENROLLED,
    }
}
