//! Every rule of a delivery in every state.

use jumun_core::EventKind;

use super::*;

const SCHEDULED: Time = Time(1_000_000);
const NOW: Time = Time(2_000_000);

/// The effect of a rule on a delivery.
#[derive(Debug, PartialEq)]
enum Outcome {
    /// Nothing changes.
    Left,
    /// It is saved as ready, without an event.
    Ready,
    /// It is saved in this state, with this event.
    Announced(State, &'static str),
    /// The rule returns this error.
    Refused(&'static str),
}

use Outcome::{Announced, Left, Ready, Refused};

type Act = fn(&Delivery) -> Result<Decision<Delivery>, Error>;

/// Every state, with the food ready and not.
const STATES: [(State, bool); 10] = [
    (State::Scheduled, false),
    (State::Scheduled, true),
    (State::Started, false),
    (State::Started, true),
    (State::PickedUp, false),
    (State::PickedUp, true),
    (State::Completed, false),
    (State::Completed, true),
    (State::Cancelled, false),
    (State::Cancelled, true),
];

#[test]
fn every_rule_has_its_outcome_in_every_state() {
    let not_scheduled = || Refused("DELIVERY_NOT_SCHEDULED");
    let not_started = || Refused("DELIVERY_NOT_STARTED");
    let not_picked_up = || Refused("DELIVERY_NOT_PICKED_UP");
    let started = || Announced(State::Started, "DeliveryStarted");
    let picked_up = || Announced(State::PickedUp, "DeliveryPickedUp");
    let completed = || Announced(State::Completed, "DeliveryCompleted");
    let cancelled = || Announced(State::Cancelled, "DeliveryCancelled");

    // Per state: the outcome while the food is not ready, and when it is.
    #[rustfmt::skip]
    let table: [(&str, Act, [Outcome; 10]); 6] = [
        ("schedule", |delivery| Delivery::schedule(Some(delivery), &scheduled()), [
            Left,               Left,               // SCHEDULED
            Left,               Left,               // STARTED
            Left,               Left,               // PICKED_UP
            Left,               Left,               // COMPLETED
            Left,               Left,               // CANCELLED
        ]),
        ("cooking finished", |delivery| delivery.mark_ready(NOW), [
            Ready,              Left,
            Ready,              Left,
            Left,               Left,
            Left,               Left,
            Left,               Left,
        ]),
        ("start", |delivery| delivery.start("riders/joon", NOW), [
            started(),          started(),
            not_scheduled(),    not_scheduled(),
            not_scheduled(),    not_scheduled(),
            not_scheduled(),    not_scheduled(),
            not_scheduled(),    not_scheduled(),
        ]),
        ("pickUp", |delivery| delivery.pick_up(NOW), [
            not_started(),      not_started(),
            Refused("NOT_READY"), picked_up(),
            not_started(),      not_started(),
            not_started(),      not_started(),
            not_started(),      not_started(),
        ]),
        ("complete", |delivery| delivery.complete(NOW), [
            not_picked_up(),    not_picked_up(),
            not_picked_up(),    not_picked_up(),
            completed(),        completed(),
            not_picked_up(),    not_picked_up(),
            not_picked_up(),    not_picked_up(),
        ]),
        ("cancel", |delivery| Delivery::cancel(Some(delivery), NOW), [
            cancelled(),        cancelled(),
            cancelled(),        cancelled(),
            Left,               Left,
            Left,               Left,
            Left,               Left,
        ]),
    ];

    for (what, act, outcomes) in table {
        for ((state, ready), expected) in STATES.into_iter().zip(outcomes) {
            let before = Delivery { state, ready, ..scheduled() };
            assert_eq!(outcome(&before, act(&before)), expected, "{what} when {} and ready = {ready}", state.name());
        }
    }
}

#[test]
fn the_rider_of_a_started_delivery_is_stored_and_announced() {
    let Ok(Decision::Save(started, events)) = scheduled().start("riders/joon", NOW) else {
        panic!("it was not started")
    };
    assert_eq!(started.rider, "riders/joon");
    let expected = pb::DeliveryStarted { rider: "riders/joon".to_owned() };
    assert_eq!(events, [scheduled().event(Kind::Started(expected))]);
}

#[test]
fn a_missing_delivery_is_scheduled_and_not_cancelled() {
    let Ok(Decision::Save(delivery, events)) = Delivery::schedule(None, &scheduled()) else {
        panic!("it was not scheduled")
    };
    assert_eq!(delivery, scheduled());
    assert_eq!(events, [scheduled().event(Kind::Scheduled(pb::DeliveryScheduled {}))]);
    assert!(matches!(Delivery::cancel(None, NOW), Ok(Decision::Leave)));
}

#[test]
fn a_caller_sees_the_whole_delivery_in_every_state() {
    for (state, name) in State::names() {
        let rider = "riders/joon".to_owned();
        let seen = Delivery { state, rider, ready: true, update_time: NOW, ..scheduled() }.resource();
        let expected = pb::Delivery {
            name: "deliveries/7".to_owned(),
            order: "orders/7".to_owned(),
            store: "stores/gangnam".to_owned(),
            rider: "riders/joon".to_owned(),
            state: pb::delivery::State::from_str_name(name).expect("the contract knows the state").into(),
            ready: true,
            create_time: Some(SCHEDULED.to_timestamp()),
            update_time: Some(NOW.to_timestamp()),
        };
        assert_eq!(seen, expected);
    }
}

/// The outcome of a decision; checks what holds for every decision.
fn outcome(before: &Delivery, decided: Result<Decision<Delivery>, Error>) -> Outcome {
    match decided {
        Ok(Decision::Leave) => Left,
        Ok(Decision::Save(after, events)) if events.is_empty() => {
            assert_eq!(after, Delivery { ready: true, update_time: NOW, ..before.clone() });
            Ready
        }
        Ok(Decision::Save(after, events)) => {
            let rider = after.rider.clone();
            assert_eq!(after, Delivery { state: after.state, rider, update_time: NOW, ..before.clone() });
            assert_eq!(after.rider != before.rider, after.state == State::Started, "only a start sets the rider");
            let [event] = events.as_slice() else { panic!("one event, not {events:?}") };
            assert_eq!(event.order, "orders/7");
            Announced(after.state, EventKind::kind(event))
        }
        Err(error) => {
            assert_eq!(error.code, tonic::Code::FailedPrecondition);
            assert_eq!(error.metadata, [("state", before.state.name().to_owned())]);
            Refused(error.reason)
        }
    }
}

fn scheduled() -> Delivery {
    Delivery {
        id: "7".to_owned(),
        store: "stores/gangnam".to_owned(),
        rider: String::new(),
        state: State::Scheduled,
        ready: false,
        create_time: SCHEDULED,
        update_time: SCHEDULED,
    }
}
