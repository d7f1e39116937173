//! Every rule of a customer in every state, and personal data that must not leak.

use super::*;

const NOW: Time = Time(1_000_000_000_000);

fn customer(state: State) -> Customer {
    Customer {
        id: "a".to_owned(),
        account: "customers/mina".to_owned(),
        display_name: "Kim Mina".to_owned(),
        address: "Gangnam-daero 1".to_owned(),
        age: 29,
        phone: "010-1234-5678".to_owned(),
        notifies_order_changes: true,
        state,
        state_reason: String::new(),
        create_time: NOW,
        registered_time: (matches!(state, State::Registered | State::Cancelled)).then_some(NOW),
        update_time: NOW,
    }
}

fn after(decision: Result<Decision<Customer>, Error>) -> Result<Option<State>, &'static str> {
    match decision {
        Ok(Decision::Save(customer, events)) => {
            assert_eq!(events.len(), 1, "each change has one event");
            Ok(Some(customer.state))
        }
        Ok(Decision::Leave) => Ok(None),
        Err(error) => Err(error.reason),
    }
}

#[test]
fn a_registration_follows_the_diagram() {
    use State::{Cancelled, Pending, Registered, Rejected};
    for (state, registered, rejected, cancelled) in [
        (Pending, Ok(Some(Registered)), Ok(Some(Rejected)), Err("CUSTOMER_PENDING")),
        (Rejected, Ok(None), Ok(None), Err("CUSTOMER_NOT_CANCELLABLE")),
        (Registered, Ok(None), Ok(None), Ok(Some(Cancelled))),
        (Cancelled, Ok(None), Ok(None), Ok(None)),
    ] {
        let customer = customer(state);
        assert_eq!(after(customer.register(NOW)), registered, "{state:?}");
        assert_eq!(after(customer.reject("R", NOW)), rejected, "{state:?}");
        assert_eq!(after(customer.cancel(NOW)), cancelled, "{state:?}");
    }
}

#[test]
fn no_event_and_no_log_contains_personal_data() {
    let decisions = [
        customer(State::Pending).register(NOW),
        customer(State::Pending).reject("R", NOW),
        customer(State::Registered).cancel(NOW),
    ];
    for decision in decisions {
        let output = format!("{decision:?}");
        for secret in ["Kim", "Gangnam", "29", "010"] {
            assert!(!output.contains(secret), "{output}");
        }
    }
}

#[test]
fn create_customer_answers_with_the_customer_as_it_was_registered_whatever_its_state() {
    let answer = customer(State::Cancelled).as_registered().expect("it was registered");
    assert_eq!(answer.state, State::Registered);
    assert!(customer(State::Pending).as_registered().is_none() && customer(State::Rejected).as_registered().is_none());
}

#[test]
fn the_id_of_a_welcome_is_the_same_each_time() {
    assert_eq!(customer(State::Pending).welcome_id(), customer(State::Registered).welcome_id());
}
