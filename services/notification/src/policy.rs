//! Whenever a registration is cancelled its customer is told, and whenever an order changes, who asked for it is.
//!
//! Events carry no phone and no address: they name an account, and the channel knows how to reach it.

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

/// What is told about what: the account, the name of the thing, what happened to it in capitals, and in words.
struct Notice {
    account: String,
    about: String,
    occasion: &'static str,
    text: String,
}

/// Remembers who wants to hear, and tells who is registered no more.
pub(crate) fn on_customer_event(subscribers: Engine<Subscriber>, channel: Channel) -> Policy<Notification> {
    Arc::new(move |message| {
        let subscribers = subscribers.clone();
        Box::pin(async move {
            let event: CustomerEvent = decode(&message)?;
            match &event.kind {
                Some(Registration::Registered(registered)) => {
                    remember(&subscribers, &event, registered.notifies_order_changes, message.number).await?;
                    Ok(EventEffect::Ignore)
                }
                Some(Registration::Cancelled(_)) => {
                    remember(&subscribers, &event, false, message.number).await?;
                    let text = "Your registration is cancelled.".to_owned();
                    let (account, about) = (event.account, event.customer);
                    tell(Notice { account, about, occasion: "CUSTOMER_CANCELLED", text }, channel, &message)
                }
                // Whom no welcome reached is told nothing else.
                Some(Registration::Rejected(_)) | None => Ok(EventEffect::Ignore),
            }
        })
    })
}

/// Doing it twice does no harm: the number of the event tells what is newer.
async fn remember(
    subscribers: &Engine<Subscriber>,
    event: &CustomerEvent,
    is_listening: bool,
    number: i64,
) -> Result<(), Error> {
    let id = event_id("customers", &event.customer)?.to_owned();
    let chosen = Subscriber { id: id.clone(), account: event.account.clone(), is_listening, heard: number };
    subscribers.execute(id, None, move |existing| Subscriber::choose(existing, &chosen)).await.map(drop)
}

/// Tells a customer who asked for it how an order is.
pub(crate) fn on_order_event(subscribers: Engine<Subscriber>, channel: Channel) -> Policy<Notification> {
    Arc::new(move |message| {
        let subscribers = subscribers.clone();
        Box::pin(async move {
            let Some(notice) = about_order(decode(&message)?) else { return Ok(EventEffect::Ignore) };
            let listening = Query::new().equals("account", notice.account.clone()).is_set("is_listening");
            let listening = subscribers.find(listening, 1).await?;
            if listening.is_empty() { Ok(EventEffect::Ignore) } else { tell(notice, channel, &message) }
        })
    })
}

/// What an event of an order is told as; None for what was announced before events named the customer.
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

/// One notification for each event, however often it is heard; the worker delivers it.
fn tell(notice: Notice, channel: Channel, message: &Envelope) -> Result<EventEffect<Notification>, Error> {
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
