//! The events of whole orders.

use std::collections::BTreeMap;

use contracts::{
    delivery::v1::{self as delivery, delivery_event::Kind as Delivered},
    kitchen::v1::{self as kitchen, production_event::Kind as Produced},
    order::v1::{self as order, order_event::Kind as Ordered},
    payment::v1::{self as payment, payment_event::Kind as Paid},
    store::v1::{self as store, ticket_event::Kind as Ticketed},
};
use jumun_core::{Envelope, Time};
use prost::Message as _;

pub(super) const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";
pub(super) const ORDER: &str = "orders/01890a5d-ac96-774b-bcce-b302099a8057";

/// The context, and the payload of its event.
pub(super) type Event = (&'static str, Vec<u8>);

pub(super) fn won(units: i64) -> Option<contracts::Money> {
    Some(contracts::Money { currency_code: "KRW".to_owned(), units, nanos: 0 })
}

pub(super) fn summary() -> order::OrderSummary {
    let item = order::order_summary::Item { item: "items/bibimbap".to_owned(), quantity: 2, unit_price: won(9_000) };
    order::OrderSummary {
        customer: "customers/mina".to_owned(),
        store: "stores/gangnam".to_owned(),
        items: vec![item],
        total: won(18_000),
        fulfillment: "DELIVERY".to_owned(),
    }
}

pub(super) fn paid(kind: Paid) -> Event {
    let event = payment::PaymentEvent { payable: ORDER.to_owned(), amount: won(18_000), kind: Some(kind) };
    ("payment", event.encode_to_vec())
}

pub(super) fn ordered(kind: Ordered) -> Event {
    ("order", order::OrderEvent { kind: Some(kind) }.encode_to_vec())
}

pub(super) fn placed() -> Event {
    ordered(Ordered::Placed(order::OrderPlaced {
        order: ORDER.to_owned(),
        payment: format!("payments/order-{ID}"),
        summary: Some(summary()),
    }))
}

pub(super) fn rejected() -> Event {
    let reason = "PAYMENT_UNCONFIRMED".to_owned();
    ordered(Ordered::Rejected(order::OrderRejected { order: ORDER.to_owned(), reason, summary: Some(summary()) }))
}

pub(super) fn cancelled() -> Event {
    let reason = "CANCELLED_BY_CUSTOMER".to_owned();
    ordered(Ordered::Cancelled(order::OrderCancelled { order: ORDER.to_owned(), reason, ..Default::default() }))
}

pub(super) fn completed() -> Event {
    ordered(Ordered::Completed(order::OrderCompleted { order: ORDER.to_owned(), ..Default::default() }))
}

pub(super) fn ticketed(kind: Ticketed) -> Event {
    let event = store::TicketEvent { order: ORDER.to_owned(), store: "stores/gangnam".to_owned(), kind: Some(kind) };
    ("store", event.encode_to_vec())
}

pub(super) fn delivered(kind: Delivered) -> Event {
    ("delivery", delivery::DeliveryEvent { order: ORDER.to_owned(), kind: Some(kind) }.encode_to_vec())
}

pub(super) fn produced(kind: Produced) -> Event {
    ("kitchen", kitchen::ProductionEvent { order: ORDER.to_owned(), kind: Some(kind) }.encode_to_vec())
}

pub(super) fn started(rider: &str) -> Event {
    delivered(Delivered::Started(delivery::DeliveryStarted { rider: rider.to_owned() }))
}

pub(super) fn authorized() -> Event {
    paid(Paid::Authorized(payment::PaymentAuthorized {}))
}

pub(super) fn captured() -> Event {
    paid(Paid::Captured(payment::PaymentCaptured {}))
}

pub(super) fn refunded() -> Event {
    paid(Paid::Refunded(payment::PaymentRefunded {}))
}

pub(super) fn opened() -> Event {
    ticketed(Ticketed::Opened(store::TicketOpened {}))
}

pub(super) fn accepted() -> Event {
    ticketed(Ticketed::Accepted(store::TicketAccepted {}))
}

pub(super) fn cooking() -> Event {
    ticketed(Ticketed::CookingStarted(store::CookingStarted {}))
}

pub(super) fn scheduled() -> Event {
    delivered(Delivered::Scheduled(delivery::DeliveryScheduled {}))
}

/// The events of an order that reaches its customer.
pub(super) fn completed_course() -> Vec<Event> {
    vec![
        authorized(),
        placed(),
        captured(),
        opened(),
        accepted(),
        scheduled(),
        cooking(),
        started("riders/joon"),
        ticketed(Ticketed::CookingFinished(store::CookingFinished {})),
        delivered(Delivered::PickedUp(delivery::DeliveryPickedUp {})),
        delivered(Delivered::Completed(delivery::DeliveryCompleted {})),
        completed(),
    ]
}

/// The events of an order that its customer cancelled.
pub(super) fn cancelled_course() -> Vec<Event> {
    vec![
        authorized(),
        placed(),
        captured(),
        opened(),
        accepted(),
        scheduled(),
        cancelled(),
        refunded(),
        ticketed(Ticketed::Cancelled(store::TicketCancelled {})),
        delivered(Delivered::Cancelled(delivery::DeliveryCancelled {})),
    ]
}

/// The events of a counter order that waited for its stock.
pub(super) fn counter_course() -> Vec<Event> {
    vec![
        authorized(),
        placed(),
        captured(),
        produced(Produced::Opened(kitchen::ProductionOpened {})),
        produced(Produced::OutOfStock(kitchen::ProductionOutOfStock { item: "items/americano".to_owned() })),
        produced(Produced::Started(kitchen::ProductionStarted {})),
        produced(Produced::Completed(kitchen::ProductionCompleted {})),
        completed(),
    ]
}

/// The events of an order whose payment was authorized too late.
pub(super) fn rejected_course() -> Vec<Event> {
    vec![authorized(), paid(Paid::Voided(payment::PaymentVoided {})), rejected()]
}

/// The envelopes of a course: numbered within their context; `time` maps the index of each to its time.
pub(super) fn messages(course: Vec<Event>, time: impl Fn(i64) -> i64) -> Vec<Envelope> {
    let mut numbers = BTreeMap::new();
    let message = |(index, (context, payload)): (i64, Event)| {
        let number = numbers.entry(context).or_insert(0);
        *number += 1;
        Envelope {
            context: context.to_owned(),
            sequence: 0,
            aggregate: ID.to_owned(),
            number: *number,
            kind: String::new(),
            payload,
            time: Time(time(index)),
            traceparent: None,
            causation: None,
        }
    };
    (0..).zip(course).map(message).collect()
}
