//! Updates orders from the events of store, delivery and kitchen.

use contracts::{delivery::v1 as delivery, kitchen::v1 as kitchen, store::v1 as store};
use engine::Decision;
use eventing::{EventEffect, Policy, event_id, policy};
use jumun_core::{Clock, Error, Time};

use crate::domain::{Order, State, reason};

/// Applies the events of a ticket.
pub(crate) fn on_ticket_event(clock: &Clock) -> Policy<Order> {
    use store::ticket_event::Kind;
    let clock = clock.clone();
    policy(move |event: store::TicketEvent, _| {
        let now = clock.now();
        match event.kind {
            Some(Kind::Rejected(_)) => {
                EventEffect::on_existing("orders", &event.order, move |order: &Order| order.cancel_by_store(now))
            }
            Some(Kind::Accepted(_)) => progress(&event.order, State::Accepted, now),
            Some(Kind::CookingStarted(_)) => progress(&event.order, State::Cooking, now),
            Some(Kind::CookingFinished(_)) => progress(&event.order, State::Ready, now),
            Some(Kind::Opened(_) | Kind::Cancelled(_)) | None => Ok(EventEffect::Ignore),
        }
    })
}

/// Applies the events of a delivery.
pub(crate) fn on_delivery_event(clock: &Clock) -> Policy<Order> {
    use delivery::delivery_event::Kind;
    let clock = clock.clone();
    policy(move |event: delivery::DeliveryEvent, _| {
        let now = clock.now();
        match event.kind {
            Some(Kind::PickedUp(_)) => progress(&event.order, State::PickedUp, now),
            Some(Kind::Completed(_)) => progress(&event.order, State::Completed, now),
            Some(Kind::Scheduled(_) | Kind::Started(_) | Kind::Cancelled(_)) | None => Ok(EventEffect::Ignore),
        }
    })
}

/// Applies the events of a production. An event that belongs to no counter order changes nothing: a production can be
/// cancelled under any name before the kitchen has received the order.
pub(crate) fn on_production_event(clock: &Clock) -> Policy<Order> {
    use kitchen::production_event::Kind;
    let clock = clock.clone();
    policy(move |event: kitchen::ProductionEvent, _| {
        let now = clock.now();
        let rule: fn(&Order, Time) -> Result<Decision<Order>, Error> = match event.kind {
            Some(Kind::OutOfStock(_)) => |order, now| order.progress(State::OutOfStock, now),
            Some(Kind::Started(_)) => |order, now| order.progress(State::Producing, now),
            Some(Kind::Completed(_)) => |order, now| order.progress(State::Completed, now),
            // Productions are cancelled only for customers.
            Some(Kind::Cancelled(_)) => |order, now| order.cancel_by_kitchen(reason::CANCELLED_BY_CUSTOMER, now),
            Some(Kind::Failed(_)) => |order, now| order.cancel_by_kitchen(reason::PRODUCTION_FAILED, now),
            Some(Kind::Opened(_)) | None => return Ok(EventEffect::Ignore),
        };
        Ok(EventEffect::decide(event_id("orders", &event.order)?, move |order: Option<&Order>| match order {
            Some(order) if order.is_counter_order() => rule(order, now),
            Some(_) | None => Ok(Decision::Leave),
        }))
    })
}

fn progress(order: &str, to: State, now: Time) -> Result<EventEffect<Order>, Error> {
    EventEffect::on_existing("orders", order, move |order: &Order| order.progress(to, now))
}
