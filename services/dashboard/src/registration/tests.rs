//! The view of a registration, for events in any order.

use contracts::{
    customer::v1::{self as customer, customer_event::Kind as Registration},
    notification::v1::{self as notification, notification_event::Kind as Notified},
};

use super::*;

fn message(context: &str, aggregate: &str, number: i64, event: &impl prost::Message) -> Envelope {
    Envelope {
        context: context.to_owned(),
        sequence: 0,
        aggregate: aggregate.to_owned(),
        number,
        kind: String::new(),
        payload: event.encode_to_vec(),
        time: Time(number * 10),
        traceparent: None,
        causation: None,
    }
}

fn registration(number: i64, kind: Registration) -> Envelope {
    let (customer, account) = ("customers/a".to_owned(), "customers/mina".to_owned());
    message("customer", "a", number, &CustomerEvent { customer, account, kind: Some(kind) })
}

fn notified(about: &str, occasion: &str, number: i64) -> Envelope {
    let kind = Some(Notified::Delivered(notification::NotificationDelivered {}));
    let (about, occasion) = (about.to_owned(), occasion.to_owned());
    let event = NotificationEvent { notification: "notifications/n".to_owned(), about, occasion, kind };
    message("notification", &number.to_string(), number, &event)
}

fn fold(messages: &[&Envelope]) -> Option<CustomerView> {
    messages
        .iter()
        .fold(None, |view, message| CustomerView::fold(view.as_ref(), message).expect("a readable event").or(view))
}

#[test]
fn a_view_depends_on_its_events_and_not_on_their_order() {
    let registered = registration(1, Registration::Registered(customer::CustomerRegistered::default()));
    let cancelled = registration(2, Registration::Cancelled(customer::CustomerCancelled {}));
    let (welcome, notice) =
        (notified("customers/a", "CUSTOMER_REGISTERED", 1), notified("customers/a", "CUSTOMER_CANCELLED", 3));
    let expected = fold(&[&registered, &welcome, &cancelled, &notice]).expect("a view");
    assert_eq!((expected.state, expected.account.as_str()), (Some(CustomerState::Cancelled), "customers/mina"));
    assert_eq!((expected.create_time, expected.update_time), (Time(10), Time(30)));
    let kinds: Vec<_> = expected.history.iter().map(|entry| entry.kind.as_str()).collect();
    assert_eq!(kinds.last(), Some(&"CUSTOMER_CANCELLED_NOTICE_DELIVERED"));
    assert_eq!(fold(&[&notice, &cancelled, &welcome, &registered]).as_ref(), Some(&expected));
    assert_eq!(fold(&[&cancelled, &notice, &cancelled, &registered, &welcome, &notice]), Some(expected));
}

#[test]
fn the_state_is_unknown_until_an_event_of_the_customer_arrives() {
    let view = fold(&[&notified("customers/a", "CUSTOMER_REGISTERED", 1)]).expect("a view");
    assert_eq!((view.state, view.account.as_str()), (None, ""));
}

#[test]
fn notifications_about_other_subjects_are_ignored() {
    assert_eq!(fold(&[&notified("orders/o", "ORDER_PLACED", 1), &notified("", "", 2)]), None);
}
