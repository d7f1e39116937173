//! Each course is folded in every order that its events may come in.

mod courses;

use std::collections::BTreeMap;

use contracts::{
    order::v1::{self as order, order_event::Kind as Ordered},
    payment::v1::{self as payment, payment_event::Kind as Paid},
    store::v1::{self as store, ticket_event::Kind as Ticketed},
};
use jumun_core::Envelope;
use prost::Message as _;

use super::*;
use crate::{MAX_HISTORY, Source};
use courses::*;

const SOURCES: [&str; 5] = ["payment", "order", "store", "kitchen", "delivery"];

fn fold(view: Option<&OrderView>, message: &Envelope) -> OrderView {
    OrderView::fold(view, message).expect("a readable event").expect("an event about an order")
}

/// Folds events in every order that keeps each context's own. It goes from set to set of events that were heard: as
/// the view of a set is the same whichever of them came last, every interleaving gives the same view.
/// Returns it, and how many interleavings there are.
fn fold_every_way(messages: &[Envelope]) -> (OrderView, u64) {
    let lines = SOURCES.map(|source| messages.iter().filter(|message| message.context == source).collect::<Vec<_>>());
    let mut heard = BTreeMap::from([([0; SOURCES.len()], (None, 1))]);
    for _ in messages {
        let mut heard_next = BTreeMap::new();
        for (counts, (view, ways)) in &heard {
            for (source, line) in lines.iter().enumerate() {
                let Some(message) = line.get(counts[source]) else { continue };
                let mut counts = *counts;
                counts[source] += 1;
                let after = Some(fold(view.as_ref(), message));
                let (known, all_ways) = heard_next.entry(counts).or_insert_with(|| (after.clone(), 0));
                assert_eq!(*known, after, "{} came last of {counts:?} of {SOURCES:?}", message.id());
                *all_ways += ways;
            }
        }
        heard = heard_next;
    }
    let (_, (view, ways)) = heard.pop_first().expect("the set of all events");
    (view.expect("a course has events"), ways)
}

fn entry(time: i64, source: Source, number: i64, kind: &str, state: Option<State>) -> Entry<State> {
    Entry { time: Time(time), source, number, kind: kind.to_owned(), state, rider: None }
}

/// The view of the order above, without what depends on its course.
fn ordered_view() -> OrderView {
    OrderView {
        id: ID.to_owned(),
        customer: "customers/mina".to_owned(),
        store: "stores/gangnam".to_owned(),
        items: vec![Item { item: "items/bibimbap".to_owned(), quantity: 2, unit_price: 9_000 }],
        total: Some(Money::new("KRW", 18_000).expect("a currency")),
        ..OrderView::default()
    }
}

fn kinds(view: &OrderView) -> Vec<&str> {
    view.history.iter().map(|entry| entry.kind.as_str()).collect()
}

#[test]
fn a_completed_order_has_one_view_in_every_order_of_its_events() {
    use Source::{Delivery, Order, Payment, Store};
    let (view, ways) = fold_every_way(&messages(completed_course(), |index| 100 + index));
    let joon = Some("riders/joon".to_owned());
    let expected = OrderView {
        state: Some(State::Completed),
        payment_state: "CAPTURED".to_owned(),
        rider: "riders/joon".to_owned(),
        history: vec![
            entry(100, Payment, 1, "PAYMENT_AUTHORIZED", None),
            entry(101, Order, 1, "ORDER_PLACED", Some(State::Placed)),
            entry(102, Payment, 2, "PAYMENT_CAPTURED", None),
            entry(103, Store, 1, "TICKET_OPENED", None),
            entry(104, Store, 2, "TICKET_ACCEPTED", Some(State::Accepted)),
            entry(105, Delivery, 1, "DELIVERY_SCHEDULED", None),
            entry(106, Store, 3, "COOKING_STARTED", Some(State::Cooking)),
            Entry { rider: joon, ..entry(107, Delivery, 2, "DELIVERY_STARTED", None) },
            entry(108, Store, 4, "COOKING_FINISHED", Some(State::Ready)),
            entry(109, Delivery, 3, "DELIVERY_PICKED_UP", Some(State::PickedUp)),
            entry(110, Delivery, 4, "DELIVERY_COMPLETED", Some(State::Completed)),
            entry(111, Order, 2, "ORDER_COMPLETED", Some(State::Completed)),
        ],
        create_time: Time(101),
        update_time: Time(111),
        ..ordered_view()
    };
    assert_eq!(view, expected);
    // 12! / (2! 2! 4! 4!)
    assert_eq!(ways, 207_900);
}

#[test]
fn a_cancelled_order_has_one_view_in_every_order_of_its_events() {
    use Source::{Delivery, Order, Payment, Store};
    let (view, ways) = fold_every_way(&messages(cancelled_course(), |index| 100 + index));
    let expected = OrderView {
        state: Some(State::Cancelled),
        payment_state: "REFUNDED".to_owned(),
        history: vec![
            entry(100, Payment, 1, "PAYMENT_AUTHORIZED", None),
            entry(101, Order, 1, "ORDER_PLACED", Some(State::Placed)),
            entry(102, Payment, 2, "PAYMENT_CAPTURED", None),
            entry(103, Store, 1, "TICKET_OPENED", None),
            entry(104, Store, 2, "TICKET_ACCEPTED", Some(State::Accepted)),
            entry(105, Delivery, 1, "DELIVERY_SCHEDULED", None),
            entry(106, Order, 2, "ORDER_CANCELLED", Some(State::Cancelled)),
            entry(107, Payment, 3, "PAYMENT_REFUNDED", None),
            entry(108, Store, 3, "TICKET_CANCELLED", None),
            entry(109, Delivery, 2, "DELIVERY_CANCELLED", None),
        ],
        create_time: Time(101),
        update_time: Time(109),
        ..ordered_view()
    };
    assert_eq!(view, expected);
    // 10! / (3! 2! 3! 2!)
    assert_eq!(ways, 25_200);
}

#[test]
fn an_order_for_the_counter_has_one_view_in_every_order_of_its_events() {
    use Source::{Kitchen, Order, Payment};
    let (view, ways) = fold_every_way(&messages(counter_course(), |index| 100 + index));
    let expected = OrderView {
        state: Some(State::Completed),
        payment_state: "CAPTURED".to_owned(),
        history: vec![
            entry(100, Payment, 1, "PAYMENT_AUTHORIZED", None),
            entry(101, Order, 1, "ORDER_PLACED", Some(State::Placed)),
            entry(102, Payment, 2, "PAYMENT_CAPTURED", None),
            entry(103, Kitchen, 1, "PRODUCTION_OPENED", None),
            entry(104, Kitchen, 2, "OUT_OF_STOCK", Some(State::OutOfStock)),
            entry(105, Kitchen, 3, "PRODUCTION_STARTED", Some(State::Producing)),
            entry(106, Kitchen, 4, "PRODUCTION_COMPLETED", Some(State::Completed)),
            entry(107, Order, 2, "ORDER_COMPLETED", Some(State::Completed)),
        ],
        create_time: Time(101),
        update_time: Time(107),
        ..ordered_view()
    };
    assert_eq!(view, expected);
    // 8! / (2! 2! 4!)
    assert_eq!(ways, 420);
}

#[test]
fn a_rejected_order_has_one_view_in_every_order_of_its_events() {
    use Source::{Order, Payment};
    let (view, ways) = fold_every_way(&messages(rejected_course(), |index| 100 + index));
    let expected = OrderView {
        state: Some(State::Rejected),
        payment_state: "VOIDED".to_owned(),
        history: vec![
            entry(100, Payment, 1, "PAYMENT_AUTHORIZED", None),
            entry(101, Payment, 2, "PAYMENT_VOIDED", None),
            entry(102, Order, 1, "ORDER_REJECTED", Some(State::Rejected)),
        ],
        create_time: Time(102),
        update_time: Time(102),
        ..ordered_view()
    };
    assert_eq!(view, expected);
    assert_eq!(ways, 3);
}

#[test]
fn an_order_that_the_store_turned_down_is_cancelled_when_it_says_so_itself() {
    let turned_down = ticketed(Ticketed::Rejected(store::TicketRejected {}));
    let course = vec![authorized(), placed(), captured(), opened(), turned_down, cancelled(), refunded()];
    let messages = messages(course, |index| index);
    assert_eq!(fold_every_way(&messages[..5]).0.state, Some(State::Placed));
    let (view, _) = fold_every_way(&messages);
    assert_eq!(view.state, Some(State::Cancelled));
    assert_eq!(kinds(&view)[4..], ["TICKET_REJECTED", "ORDER_CANCELLED", "PAYMENT_REFUNDED"]);
}

#[test]
fn a_declined_order_is_rejected() {
    let declined = paid(Paid::Declined(payment::PaymentDeclined { reason: "INSUFFICIENT_FUNDS".to_owned() }));
    let (view, _) = fold_every_way(&messages(vec![declined, rejected()], |index| index));
    assert_eq!((view.state, view.payment_state.as_str()), (Some(State::Rejected), "DECLINED"));
}

#[test]
fn a_withdrawn_order_stays_so_however_far_the_store_went() {
    let course = vec![authorized(), placed(), opened(), accepted(), cancelled(), cooking()];
    let (view, _) = fold_every_way(&messages(course, |index| index));
    assert_eq!(view.state, Some(State::Cancelled));
}

#[test]
fn events_of_one_time_are_sorted_by_context_and_number() {
    let (view, _) = fold_every_way(&messages(completed_course(), |_| 7));
    let expected = [
        ["PAYMENT_AUTHORIZED", "PAYMENT_CAPTURED", "ORDER_PLACED", "ORDER_COMPLETED"],
        ["TICKET_OPENED", "TICKET_ACCEPTED", "COOKING_STARTED", "COOKING_FINISHED"],
        ["DELIVERY_SCHEDULED", "DELIVERY_STARTED", "DELIVERY_PICKED_UP", "DELIVERY_COMPLETED"],
    ];
    assert_eq!(kinds(&view), expected.concat());
}

#[test]
fn clocks_that_go_backwards_change_the_history_and_nothing_else() {
    let (forwards, _) = fold_every_way(&messages(completed_course(), |index| index));
    let (backwards, _) = fold_every_way(&messages(completed_course(), |index| 11 - index));
    let reversed: Vec<_> = kinds(&forwards).into_iter().rev().collect();
    assert_eq!(kinds(&backwards), reversed);
    // Placed second of twelve.
    let times = OrderView {
        create_time: Time(1),
        update_time: Time(11),
        history: forwards.history.clone(),
        ..backwards.clone()
    };
    assert_eq!(times, forwards);
    assert_eq!((backwards.create_time, backwards.update_time), (Time(10), Time(11)));
}

#[test]
fn the_state_is_unknown_until_the_order_itself_is_heard() {
    let messages = messages(vec![placed(), authorized(), opened(), accepted()], |index| 50 - index);
    let view = messages[1..].iter().fold(None, |view, message| Some(fold(view.as_ref(), message)));
    let view = view.expect("three events");
    let early = OrderView { history: view.history.clone(), ..OrderView::default() };
    let early = OrderView { id: ID.to_owned(), payment_state: "AUTHORIZED".to_owned(), ..early };
    assert_eq!(view, OrderView { create_time: Time(47), update_time: Time(49), ..early });
    assert_eq!(view.resource().state, "");

    let placed = fold(Some(&view), &messages[0]);
    assert_eq!((placed.state, placed.create_time), (Some(State::Accepted), Time(50)));
}

#[test]
fn the_last_rider_that_set_out_rides() {
    let course = vec![placed(), scheduled(), started("riders/joon"), started("riders/sora")];
    // Even when the clock went backwards meanwhile.
    assert_eq!(fold_every_way(&messages(course, |index| -index)).0.rider, "riders/sora");
}

#[test]
fn an_event_that_comes_again_changes_nothing() {
    let messages = messages(completed_course(), |index| index);
    let (view, _) = fold_every_way(&messages);
    for message in &messages {
        assert_eq!(fold(Some(&view), message), view);
    }
}

#[test]
fn what_concerns_no_order_is_left_out() {
    let of = |context, payload| messages(vec![(context, payload)], |index| index).remove(0);
    let enrolled = payment::PaymentEvent {
        payable: "enrollments/a".to_owned(),
        amount: won(1),
        kind: Some(Paid::Authorized(payment::PaymentAuthorized {})),
    };
    assert!(matches!(OrderView::fold(None, &of("payment", enrolled.encode_to_vec())), Ok(None)));
    assert!(matches!(OrderView::fold(None, &of("warehouse", placed().1)), Ok(None)));
    // A kind that only a newer version knows reads as none.
    for source in SOURCES {
        assert!(matches!(OrderView::fold(None, &of(source, Vec::new())), Ok(None)), "{source}");
    }
}

#[test]
fn what_cannot_be_read_is_an_error() {
    let placed = |change: fn(&mut order::OrderPlaced)| {
        let mut placed =
            order::OrderPlaced { order: ORDER.to_owned(), payment: String::new(), summary: Some(summary()) };
        change(&mut placed);
        ordered(Ordered::Placed(placed))
    };
    let nobodys = payment::PaymentEvent {
        payable: "orders/".to_owned(),
        amount: None,
        kind: Some(Paid::Voided(payment::PaymentVoided {})),
    };
    let unreadable = [
        ("order", b"\xff\xff\xff".to_vec()),
        ("payment", nobodys.encode_to_vec()),
        placed(|placed| placed.order = "tickets/a".to_owned()),
        placed(|placed| placed.summary = None),
        placed(|placed| placed.summary.as_mut().expect("a summary").total = None),
        placed(|placed| placed.summary.as_mut().expect("a summary").items[0].unit_price = None),
        placed(|placed| {
            let euros = contracts::Money { currency_code: "EUR".to_owned(), units: 1, nanos: 0 };
            placed.summary.as_mut().expect("a summary").items[0].unit_price = Some(euros);
        }),
    ];
    assert!(OrderView::fold(None, &messages(vec![placed(|_| {})], |index| index)[0]).is_ok());
    for (index, event) in unreadable.into_iter().enumerate() {
        let error = OrderView::fold(None, &messages(vec![event], |index| index)[0]).expect_err("unreadable");
        assert_eq!((error.reason, error.is_transient()), ("UNREADABLE_EVENT", false), "{index}");
    }
}

#[test]
fn a_history_is_bounded() {
    let messages = messages(vec![authorized(); MAX_HISTORY + 1], |index| index);
    let (last, others) = messages.split_last().expect("events");
    let full = others.iter().fold(None, |view, message| Some(fold(view.as_ref(), message)));
    assert_eq!(OrderView::fold(full.as_ref(), last).expect_err("full").reason, "HISTORY_FULL");
    // What is in it already still changes nothing.
    assert_eq!(full.as_ref().map(|full| fold(Some(full), &others[0])), full);
}

#[test]
fn states_have_the_names_that_their_contexts_use() {
    for (state, name) in State::names() {
        assert!(order::order::State::from_str_name(name).is_some(), "{name}");
        assert_eq!(serde_json::to_value(state).expect("JSON"), name, "so does the history");
    }
    let captured = fold(None, &messages(vec![captured()], |index| index)[0]);
    let state = payment::payment::State::from_str_name(&captured.payment_state);
    assert_eq!(state, Some(payment::payment::State::Captured));
}

#[test]
fn a_caller_sees_all_of_it() {
    let (view, _) = fold_every_way(&messages(completed_course(), |index| 1_000_000 * index));
    let seen = view.resource();
    assert_eq!((seen.name, seen.order), (format!("orderViews/{ID}"), ORDER.to_owned()));
    assert_eq!((seen.customer.as_str(), seen.store.as_str()), ("customers/mina", "stores/gangnam"));
    assert_eq!((seen.items[0].quantity, seen.items[0].unit_price.clone(), seen.total), (2, won(9_000), won(18_000)));
    assert_eq!((seen.state.as_str(), seen.payment_state.as_str()), ("COMPLETED", "CAPTURED"));
    assert_eq!(seen.rider, "riders/joon");
    assert_eq!((seen.history.len(), seen.history[6].state.as_str()), (12, "COOKING_STARTED"));
    assert_eq!(seen.history[6].time, Some(Time(6_000_000).to_timestamp()));
    assert_eq!(seen.create_time, Some(Time(1_000_000).to_timestamp()));
    assert_eq!(seen.update_time, Some(Time(11_000_000).to_timestamp()));
}
