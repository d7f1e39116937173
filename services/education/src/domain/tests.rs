//! Every rule of a registration in every state.

use jumun_core::EventKind;

use super::*;

const NOW: Time = Time(3_000_000);

/// The state afterwards and the event, or the error.
type Outcome = Result<(State, &'static str), &'static str>;
type Act = fn(&Registration) -> Result<Decision<Registration>, Error>;

#[test]
fn every_rule_has_its_outcome_in_every_state() {
    use State::{Cancelled, Completed, Registered};
    let completed = || Ok((Completed, "CourseCompleted"));
    let cancelled = || Ok((Cancelled, "RegistrationCancelled"));
    let left = |state| Ok((state, ""));
    #[rustfmt::skip]
    let table: [(&str, Act, [Outcome; 3]); 4] = [
        //                                                                                             REGISTERED        COMPLETED                      CANCELLED
        ("registered again", |found| Registration::register(Some(found), &registration(Registered)), [left(Registered), left(Completed),               left(Cancelled)]),
        ("completed", |found| found.complete(NOW),                                                   [completed(),      left(Completed),               Err("REGISTRATION_NOT_ACTIVE")]),
        ("the school cancels", |found| found.cancel(NOW),                                            [cancelled(),      Err("REGISTRATION_COMPLETED"), left(Cancelled)]),
        ("the enrollment is cancelled", |found| found.cancel_by_enrollment(NOW),                     [cancelled(),      cancelled(),                   left(Cancelled)]),
    ];
    for (what, act, outcomes) in table {
        assert_eq!(State::ALL.len(), outcomes.len());
        for ((state, name), expected) in State::names().zip(outcomes) {
            let before = registration(state);
            assert_eq!(outcome(&before, act(&before)), expected, "{what} when {name}");
        }
    }
}

#[test]
fn the_event_of_a_registration_names_its_enrollment() {
    let registered = registration(State::Registered);
    let Ok(Decision::Save(after, events)) = Registration::register(None, &registered) else {
        panic!("nobody was registered")
    };
    assert_eq!(after, registered);
    let expected = pb::RegistrationEvent {
        enrollment: "enrollments/7".to_owned(),
        kind: Some(Kind::Registered(pb::LearnerRegistered {})),
    };
    assert_eq!(events, [expected]);
}

fn outcome(before: &Registration, decision: Result<Decision<Registration>, Error>) -> Outcome {
    match decision {
        Ok(Decision::Leave) => Ok((before.state, "")),
        Ok(Decision::Save(after, events)) => {
            assert!(events.len() == 1 && after.update_time == NOW, "{after:?} {events:?}");
            Ok((after.state, EventKind::kind(&events[0])))
        }
        Err(error) => Err(error.reason),
    }
}

fn registration(state: State) -> Registration {
    Registration {
        id: "7".to_owned(),
        learner: "learners/hana".to_owned(),
        course: "courses/rust-101".to_owned(),
        state,
        create_time: Time(1_000_000),
        update_time: Time(2_000_000),
    }
}
