//! Every rule of an order in every state.

use jumun_core::EventKind;

use super::*;

const REQUESTED: Time = Time(1_000_000);
const PLACED: Time = Time(2_000_000);
const NOW: Time = Time(3_000_000);

/// The effect of a rule on an order.
#[derive(Debug, PartialEq)]
enum Outcome {
    /// Nothing changes.
    Left,
    /// It is saved in this state, for this reason, without an event.
    Saved(State, &'static str),
    /// It is saved in this state, for this reason, with this event.
    Announced(State, &'static str, &'static str),
    /// The rule returns this error.
    Refused(&'static str),
}

use Outcome::{Announced, Left, Refused, Saved};

type Act = fn(&Order) -> Result<Decision<Order>, Error>;

#[test]
fn every_rule_has_its_outcome_in_every_state() {
    let placed = || Announced(State::Placed, "", "OrderPlaced");
    let voiding = || Saved(State::Voiding, "");
    let rejected = || Announced(State::Rejected, "WHY", "OrderRejected");
    let cancelled = || Announced(State::Cancelled, "CANCELLED_BY_CUSTOMER", "OrderCancelled");
    let store_rejected = || Announced(State::Cancelled, "STORE_REJECTED", "OrderCancelled");
    let completed = || Announced(State::Completed, "", "OrderCompleted");
    let accepted = || Saved(State::Accepted, "");
    let cooking = || Saved(State::Cooking, "");
    let not_made = || Announced(State::Cancelled, "WHY", "OrderCancelled");
    let out_of_stock = || Saved(State::OutOfStock, "");
    let producing = || Saved(State::Producing, "");
    let ready = || Saved(State::Ready, "");
    let picked_up = || Saved(State::PickedUp, "");
    let not_placed = || Refused("ORDER_PENDING");
    let too_late = || Refused("ORDER_NOT_CANCELLABLE");

    #[rustfmt::skip]
    let table: [(&str, Act, [Outcome; 12]); 13] = [
        //                                                                 PENDING       VOIDING       REJECTED    PLACED            OUT_OF_STOCK ACCEPTED     COOKING      PRODUCING    READY        PICKED_UP    COMPLETED   CANCELLED
        ("confirm", |order| order.confirm("payments/order-7", NOW),      [placed(),     Left,         Left,       Left,             Left,        Left,        Left,        Left,        Left,        Left,        Left,       Left]),
        ("start voiding", |order| order.start_voiding(NOW),              [voiding(),    Left,         Left,       Left,             Left,        Left,        Left,        Left,        Left,        Left,        Left,       Left]),
        ("reject", |order| order.reject("WHY", NOW),                     [rejected(),   rejected(),   Left,       Left,             Left,        Left,        Left,        Left,        Left,        Left,        Left,       Left]),
        ("cancel", |order| order.cancel(NOW),                            [not_placed(), not_placed(), too_late(), cancelled(),      cancelled(), cancelled(), too_late(),  too_late(),  too_late(),  too_late(),  too_late(), Left]),
        ("store rejects", |order| order.cancel_by_store(NOW),            [Left,         Left,         Left,       store_rejected(), Left,        Left,        Left,        Left,        Left,        Left,        Left,       Left]),
        ("kitchen fails", |order| order.cancel_by_kitchen("WHY", NOW),   [Left,         Left,         Left,       not_made(),       not_made(),  not_made(),  not_made(),  not_made(),  not_made(),  not_made(),  Left,       Left]),
        ("out of stock", |order| order.progress(State::OutOfStock, NOW), [Left,         Left,         Left,       out_of_stock(),   Left,        Left,        Left,        Left,        Left,        Left,        Left,       Left]),
        ("accepted", |order| order.progress(State::Accepted, NOW),       [Left,         Left,         Left,       accepted(),       accepted(),  Left,        Left,        Left,        Left,        Left,        Left,       Left]),
        ("cooking", |order| order.progress(State::Cooking, NOW),         [Left,         Left,         Left,       cooking(),        cooking(),   cooking(),   Left,        Left,        Left,        Left,        Left,       Left]),
        ("producing", |order| order.progress(State::Producing, NOW),     [Left,         Left,         Left,       producing(),      producing(), producing(), producing(), Left,        Left,        Left,        Left,       Left]),
        ("cooked", |order| order.progress(State::Ready, NOW),            [Left,         Left,         Left,       ready(),          ready(),     ready(),     ready(),     ready(),     Left,        Left,        Left,       Left]),
        ("picked up", |order| order.progress(State::PickedUp, NOW),      [Left,         Left,         Left,       picked_up(),      picked_up(), picked_up(), picked_up(), picked_up(), picked_up(), Left,        Left,       Left]),
        ("handed over", |order| order.progress(State::Completed, NOW),   [Left,         Left,         Left,       completed(),      completed(), completed(), completed(), completed(), completed(), completed(), Left,       Left]),
    ];

    for (what, act, outcomes) in table {
        assert_eq!(State::ALL.len(), outcomes.len());
        for ((state, name), expected) in State::names().zip(outcomes) {
            let before = order(state);
            assert_eq!(outcome(&before, act(&before)), expected, "{what} when {name}");
        }
    }
}

#[test]
fn events_contain_what_other_contexts_need() {
    let summary = || {
        let item = pb::order_summary::Item {
            item: "items/bibimbap".to_owned(),
            quantity: 2,
            unit_price: Some(contracts::Money { currency_code: "EUR".to_owned(), units: 9, nanos: 500_000_000 }),
        };
        Some(pb::OrderSummary {
            customer: "customers/mina".to_owned(),
            store: "stores/gangnam".to_owned(),
            items: vec![item],
            total: Some(contracts::Money { currency_code: "EUR".to_owned(), units: 19, nanos: 0 }),
            fulfillment: "DELIVERY".to_owned(),
        })
    };
    let name = || "orders/7".to_owned();
    let expected: [(Result<Decision<Order>, Error>, Kind); 4] = [
        (
            order(State::Pending).confirm("payments/order-7", NOW),
            Kind::Placed(pb::OrderPlaced { order: name(), payment: "payments/order-7".to_owned(), summary: summary() }),
        ),
        (
            order(State::Voiding).reject("WHY", NOW),
            Kind::Rejected(pb::OrderRejected { order: name(), reason: "WHY".to_owned(), summary: summary() }),
        ),
        (
            order(State::Placed).cancel(NOW),
            Kind::Cancelled(pb::OrderCancelled {
                order: name(),
                reason: "CANCELLED_BY_CUSTOMER".to_owned(),
                customer: "customers/mina".to_owned(),
            }),
        ),
        (
            order(State::PickedUp).progress(State::Completed, NOW),
            Kind::Completed(pb::OrderCompleted { order: name(), customer: "customers/mina".to_owned() }),
        ),
    ];
    for (decided, kind) in expected {
        let Ok(Decision::Save(_, events)) = decided else { panic!("no event {kind:?}") };
        assert_eq!(events, [event(kind)]);
    }
}

#[test]
fn no_event_contains_the_payment_method() {
    for decided in [order(State::Pending).confirm("payments/order-7", NOW), order(State::Pending).reject("WHY", NOW)] {
        let Ok(Decision::Save(_, events)) = decided else { panic!("no event") };
        assert!(!format!("{events:?}").contains("tok_"), "{events:?}");
    }
}

#[test]
fn a_placed_order_has_its_payment_and_the_time() {
    let Ok(Decision::Save(placed, _)) = order(State::Pending).confirm("payments/order-7", NOW) else {
        panic!("not placed")
    };
    let expected = Order {
        state: State::Placed,
        payment: "payments/order-7".to_owned(),
        placed_time: Some(NOW),
        update_time: NOW,
        ..order(State::Pending)
    };
    assert_eq!(placed, expected);
}

#[test]
fn create_order_answers_with_the_order_as_it_was_placed_whatever_its_state() {
    for (state, name) in State::names() {
        let now = order(state);
        let was_placed = now.placed_time.is_some();
        let Some(placed) = now.as_confirmed() else {
            assert!(!was_placed, "{name}");
            continue;
        };
        assert!(was_placed, "{name}");
        let expected = Order { state: State::Placed, state_reason: String::new(), update_time: PLACED, ..now };
        assert_eq!(placed, expected, "{name}");
    }
}

#[test]
fn only_a_final_order_is_changed_by_no_rule() {
    let acts: [Act; 5] = [
        |order| order.confirm("payments/order-7", NOW),
        |order| order.start_voiding(NOW),
        |order| order.reject("WHY", NOW),
        |order| order.cancel_by_store(NOW),
        |order| order.progress(State::Completed, NOW),
    ];
    for (state, name) in State::names() {
        let order = order(state);
        let is_left = acts.iter().all(|act| matches!(act(&order), Ok(Decision::Leave)));
        assert_eq!(order.is_final(), is_left, "{name}");
    }
}

#[test]
fn cancelling_a_counter_order_that_may_not_have_started_needs_the_kitchens_consent() {
    for (state, name) in State::names() {
        let counter = Order { fulfillment: "COUNTER".to_owned(), ..order(state) };
        let may_not_have_started = matches!(state, State::Placed | State::OutOfStock);
        assert_eq!(counter.needs_kitchen_consent(), may_not_have_started, "{name}");
        assert!(!order(state).needs_kitchen_consent(), "{name}, for delivery");
    }
}

#[test]
fn a_caller_sees_the_whole_order_in_every_state() {
    for (state, name) in State::names() {
        let order = order(state);
        let seen = order.resource();
        let expected = pb::Order {
            name: "orders/7".to_owned(),
            uid: "7".to_owned(),
            customer: "customers/mina".to_owned(),
            store: "stores/gangnam".to_owned(),
            items: vec![pb::order::Item {
                item: "items/bibimbap".to_owned(),
                quantity: 2,
                unit_price: Some(contracts::Money { currency_code: "EUR".to_owned(), units: 9, nanos: 500_000_000 }),
            }],
            total: Some(contracts::Money { currency_code: "EUR".to_owned(), units: 19, nanos: 0 }),
            fulfillment: pb::order::Fulfillment::Delivery.into(),
            payment_method: "tok_visa".to_owned(),
            state: pb::order::State::from_str_name(name).expect("the contract knows the state").into(),
            state_reason: order.state_reason.clone(),
            payment: order.payment.clone(),
            create_time: Some(REQUESTED.to_timestamp()),
            update_time: Some(order.update_time.to_timestamp()),
        };
        assert_eq!(seen, expected, "{name}");
    }
}

/// The outcome of a decision; checks what holds for every decision.
fn outcome(before: &Order, decided: Result<Decision<Order>, Error>) -> Outcome {
    match decided {
        Ok(Decision::Leave) => Left,
        Ok(Decision::Save(after, events)) => {
            let may_change = Order {
                state: after.state,
                state_reason: after.state_reason.clone(),
                payment: after.payment.clone(),
                placed_time: after.placed_time,
                update_time: NOW,
                ..before.clone()
            };
            assert_eq!(after, may_change);
            if after.state != State::Placed {
                assert_eq!((&after.payment, after.placed_time), (&before.payment, before.placed_time));
            }
            let reason = ["", "WHY", "CANCELLED_BY_CUSTOMER", "STORE_REJECTED"]
                .into_iter()
                .find(|reason| *reason == after.state_reason)
                .expect("a reason of this table");
            match events.as_slice() {
                [] => Saved(after.state, reason),
                [event] => Announced(after.state, reason, event.kind()),
                events => panic!("one event, not {events:?}"),
            }
        }
        Err(error) => {
            assert_eq!(error.code, tonic::Code::FailedPrecondition);
            Refused(error.reason)
        }
    }
}

/// An order in a state.
fn order(state: State) -> Order {
    let was_placed = !matches!(state, State::Pending | State::Voiding | State::Rejected);
    let reason = match state {
        State::Rejected => "INSUFFICIENT_FUNDS",
        State::Cancelled => reason::STORE_REJECTED,
        _ => "",
    };
    Order {
        id: "7".to_owned(),
        customer: "customers/mina".to_owned(),
        store: "stores/gangnam".to_owned(),
        items: vec![Item { item: "items/bibimbap".to_owned(), quantity: 2, unit_price: 950 }],
        total: Money::new("EUR", 1_900).expect("a currency"),
        fulfillment: "DELIVERY".to_owned(),
        payment_method: "tok_visa".to_owned(),
        state,
        state_reason: reason.to_owned(),
        payment: if was_placed { "payments/order-7".to_owned() } else { String::new() },
        create_time: REQUESTED,
        placed_time: was_placed.then_some(PLACED),
        update_time: if was_placed { PLACED } else { REQUESTED },
    }
}
