//! Notifies customers when their registration is cancelled, and subscribers when their order changes.
//!
//! Events contain no phone and no address: they name an account, and the channel knows how to reach it.

use std::sync::Arc;

use contracts::{
    customer::v1::{CustomerEvent, customer_event::Kind as Registration},
    order::v1::{OrderEvent, order_event::Kind as Ordered},
};
use engine::{Decision, Engine, Query};
use eventing::{EventEffect, Policy, decode, event_id};
use jumun_core::{Envelope, Error, name::id_of};

use crate::{
    domain::{Channel, Notification, State},
    subscriber::Subscriber,
};

/// The recipient, subject and text of a notification.
struct Notice {
    account: String,
    /// The resource name of the order or customer.
    about: String,
    /// What happened, e.g. `ORDER_PLACED`.
    occasion: &'static str,
    text: String,
}

/// Applies the events of a customer: keeps the subscribers, and notifies of cancellations.
pub(crate) fn on_customer_event(subscribers: Engine<Subscriber>, channel: Channel) -> Policy<Notification> {
    Arc::new(move |message| {
        let subscribers = subscribers.clone();
        Box::pin(async move {
            let event: CustomerEvent = decode(&message)?;
            match &event.kind {
                Some(Registration::Registered(registered)) => {
                    update_subscriber(&subscribers, &event, registered.notifies_order_changes, message.number).await?;
                    Ok(EventEffect::Ignore)
                }
                Some(Registration::Cancelled(_)) => {
                    update_subscriber(&subscribers, &event, false, message.number).await?;
                    let text = "Your registration is cancelled.".to_owned();
                    let (account, about) = (event.account, event.customer);
                    notify(Notice { account, about, occasion: "CUSTOMER_CANCELLED", text }, channel, &message)
                }
                // A customer that was not reached is not notified again.
                Some(Registration::Rejected(_)) | None => Ok(EventEffect::Ignore),
            }
        })
    })
}

/// Idempotent: an event with an older number changes nothing.
async fn update_subscriber(
    subscribers: &Engine<Subscriber>,
    event: &CustomerEvent,
    is_listening: bool,
    number: i64,
) -> Result<(), Error> {
    let id = event_id("customers", &event.customer)?.to_owned();
    let updated = Subscriber { id: id.clone(), account: event.account.clone(), is_listening, event_number: number };
    subscribers.execute(id, None, move |existing| Subscriber::update(existing, &updated)).await.map(drop)
}

/// Applies the events of an order: notifies its customer, if subscribed.
pub(crate) fn on_order_event(subscribers: Engine<Subscriber>, channel: Channel) -> Policy<Notification> {
    Arc::new(move |message| {
        let subscribers = subscribers.clone();
        Box::pin(async move {
            let Some(notice) = about_order(decode(&message)?) else { return Ok(EventEffect::Ignore) };
            let subscribed = Query::new().equals("account", notice.account.clone()).is_set("is_listening");
            let subscribed = subscribers.find(subscribed, 1).await?;
            if subscribed.is_empty() { Ok(EventEffect::Ignore) } else { notify(notice, channel, &message) }
        })
    })
}

/// The notice of an event of an order; None for old events that do not name the customer.
fn about_order(event: OrderEvent) -> Option<Notice> {
    let (account, about, occasion, how) = match event.kind? {
        Ordered::Placed(placed) => (placed.summary?.customer, placed.order, "ORDER_PLACED", "is placed"),
        Ordered::Rejected(rejected) => (rejected.summary?.customer, rejected.order, "ORDER_REJECTED", "was not placed"),
        Ordered::Cancelled(cancelled) => (cancelled.customer, cancelled.order, "ORDER_CANCELLED", "is cancelled"),
        Ordered::Completed(completed) => (completed.customer, completed.order, "ORDER_COMPLETED", "is completed"),
    };
    let text = format!("Your order {how}: {about}.");
    (!account.is_empty()).then_some(Notice { account, about, occasion, text })
}

/// Records one notification for each event, however often it arrives; the worker delivers it.
fn notify(notice: Notice, channel: Channel, message: &Envelope) -> Result<EventEffect<Notification>, Error> {
    event_id("customers", &notice.account)?;
    let notification = Notification {
        id: id_of(message.time, &message.id()),
        recipient: notice.account,
        channel,
        text: notice.text,
        about: notice.about,
        occasion: notice.occasion.to_owned(),
        is_awaited: false,
        fingerprint: String::new(),
        state: State::Pending,
        state_reason: String::new(),
        attempts: 0,
        next_attempt_time: message.time,
        create_time: message.time,
        update_time: message.time,
    };
    Ok(EventEffect::decide(notification.id.clone(), move |existing: Option<&Notification>| match existing {
        Some(_) => Ok(Decision::Leave),
        None => Decision::save(notification.clone()),
    }))
}
