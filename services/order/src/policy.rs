//! Whenever a store or a rider reports something, the order follows.

use contracts::{delivery::v1 as delivery, store::v1 as store};
use kit::{Clock, Error, Policy, Reaction, Time, policy};

use crate::domain::{Order, State};

/// What the store says about the ticket.
pub(crate) fn on_ticket_event(clock: &Clock) -> Policy<Order> {
    use store::ticket_event::Kind;
    let clock = clock.clone();
    policy(move |event: store::TicketEvent, _| {
        let now = clock.now();
        match event.kind {
            Some(Kind::Rejected(_)) => {
                Reaction::on_existing("orders", &event.order, move |order: &Order| order.reject_by_store(now))
            }
            Some(Kind::Accepted(_)) => progress(&event.order, State::Accepted, now),
            Some(Kind::CookingStarted(_)) => progress(&event.order, State::Cooking, now),
            Some(Kind::CookingFinished(_)) => progress(&event.order, State::Ready, now),
            Some(Kind::Opened(_) | Kind::Cancelled(_)) | None => Ok(Reaction::Ignore),
        }
    })
}

/// What the rider says about the delivery.
pub(crate) fn on_delivery_event(clock: &Clock) -> Policy<Order> {
    use delivery::delivery_event::Kind;
    let clock = clock.clone();
    policy(move |event: delivery::DeliveryEvent, _| {
        let now = clock.now();
        match event.kind {
            Some(Kind::PickedUp(_)) => progress(&event.order, State::PickedUp, now),
            Some(Kind::Completed(_)) => progress(&event.order, State::Completed, now),
            Some(Kind::Scheduled(_) | Kind::Started(_) | Kind::Cancelled(_)) | None => Ok(Reaction::Ignore),
        }
    })
}

fn progress(order: &str, to: State, now: Time) -> Result<Reaction<Order>, Error> {
    Reaction::on_existing("orders", order, move |order: &Order| order.progress(to, now))
}
