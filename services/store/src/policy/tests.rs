//! The effect of each event of an order.

use std::sync::Arc;

use contracts::order::v1::{OrderCancelled, OrderCompleted, OrderRejected, OrderSummary, order_summary};
use engine::{Decide, Decision};
use jumun_core::{Envelope, EventKind};
use prost::Message as _;

use super::*;

#[tokio::test]
async fn a_placed_delivery_order_opens_a_ticket() {
    let clock = Clock::manual();
    let mut decide = decision(effect_of(&clock, placed("orders/7", "DELIVERY")).await);
    let Ok(Decision::Save(ticket, events)) = decide(None) else { panic!("no ticket was opened") };
    let expected = Ticket {
        id: "7".to_owned(),
        store: "stores/gangnam".to_owned(),
        items: vec![Item { item: "items/bibimbap".to_owned(), quantity: 2 }],
        state: State::Open,
        create_time: clock.now(),
        update_time: clock.now(),
    };
    assert_eq!(ticket, expected);
    assert_eq!(events.iter().map(EventKind::kind).collect::<Vec<_>>(), ["TicketOpened"]);
    assert!(matches!(decide(Some(&expected)), Ok(Decision::Leave)), "the same order opens no second ticket");
}

#[tokio::test]
async fn a_cancelled_order_cancels_its_ticket_if_there_is_one() {
    let clock = Clock::manual();
    let mut opening = decision(effect_of(&clock, placed("orders/7", "DELIVERY")).await);
    let Ok(Decision::Save(ticket, _)) = opening(None) else { panic!("no ticket was opened") };
    let cooking = Ticket { state: State::Cooking, ..ticket };

    let cancelled = OrderCancelled { order: "orders/7".to_owned(), ..OrderCancelled::default() };
    let mut decide = decision(effect_of(&clock, Kind::Cancelled(cancelled)).await);
    assert!(matches!(decide(None), Ok(Decision::Leave)), "a COUNTER order has no ticket");
    let Ok(Decision::Save(ticket, _)) = decide(Some(&cooking)) else { panic!("it was not cancelled") };
    assert_eq!(ticket.state, State::Cancelled);
}

#[tokio::test]
async fn other_events_are_ignored() {
    let order = || "orders/7".to_owned();
    let ignored = [
        placed("orders/7", "COUNTER"),
        placed("orders/7", ""),
        Kind::Rejected(OrderRejected { order: order(), ..Default::default() }),
        Kind::Completed(OrderCompleted { order: order(), ..OrderCompleted::default() }),
    ];
    for kind in ignored {
        let effect = effect_of(&Clock::manual(), kind.clone()).await;
        assert!(matches!(effect, Ok(EventEffect::Ignore)), "{kind:?}");
    }
}

#[tokio::test]
async fn an_incomplete_event_becomes_a_dead_letter() {
    let unreadable = [
        placed("seven", "DELIVERY"),
        Kind::Placed(OrderPlaced { order: "orders/7".to_owned(), ..Default::default() }),
        Kind::Cancelled(OrderCancelled::default()),
    ];
    for kind in unreadable {
        let error = effect_of(&Clock::manual(), kind.clone()).await.err().expect("it is refused");
        assert_eq!((error.reason, error.is_transient()), ("UNREADABLE_EVENT", false), "{kind:?}");
    }
}

async fn effect_of(clock: &Clock, kind: Kind) -> Result<EventEffect<Ticket>, Error> {
    let message = Envelope {
        context: "order".to_owned(),
        sequence: 0,
        aggregate: "7".to_owned(),
        number: 1,
        kind: String::new(),
        payload: OrderEvent { kind: Some(kind) }.encode_to_vec(),
        time: clock.now(),
        traceparent: None,
        causation: None,
    };
    on_order_event(clock)(Arc::new(message)).await
}

fn decision(effect: Result<EventEffect<Ticket>, Error>) -> Decide<Ticket> {
    match effect {
        Ok(EventEffect::Decide(id, decide)) if id == "7" => decide,
        _ => panic!("no decision upon the order's ticket"),
    }
}

fn placed(order: &str, fulfillment: &str) -> Kind {
    let line = order_summary::Item { item: "items/bibimbap".to_owned(), quantity: 2, unit_price: None };
    let summary = OrderSummary {
        store: "stores/gangnam".to_owned(),
        items: vec![line],
        fulfillment: fulfillment.to_owned(),
        ..Default::default()
    };
    Kind::Placed(OrderPlaced { order: order.to_owned(), payment: String::new(), summary: Some(summary) })
}
