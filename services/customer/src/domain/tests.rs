//! Every state × every command, and what is never told.

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
            assert_eq!(events.len(), 1, "each change is announced once");
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
fn no_announcement_and_no_log_tells_anything_about_the_person() {
    let decisions = [
        customer(State::Pending).register(NOW),
        customer(State::Pending).reject("R", NOW),
        customer(State::Registered).cancel(NOW),
    ];
    for decision in decisions {
        let told = format!("{decision:?}");
        for secret in ["Kim", "Gangnam", "29", "010"] {
            assert!(!told.contains(secret), "{told}");
        }
    }
}

#[test]
fn what_was_answered_once_is_answered_again_however_far_it_is() {
    let answered = customer(State::Cancelled).as_registered().expect("it stood");
    assert_eq!(answered.state, State::Registered);
    assert!(customer(State::Pending).as_registered().is_none() && customer(State::Rejected).as_registered().is_none());
}

#[test]
fn a_welcome_has_an_id_that_can_be_asked_for_again() {
    assert_eq!(customer(State::Pending).welcome_id(), customer(State::Registered).welcome_id());
}
