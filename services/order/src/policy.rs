//! Whenever a store or a rider reports something, the order follows.

use contracts::{delivery::v1 as delivery, store::v1 as store};
use kit::{Clock, Decision, Error, Policy, Reaction, Time, name::id_in, policy};

use crate::domain::{Order, State};

/// What the store says about the ticket.
pub(crate) fn on_ticket_event(clock: &Clock) -> Policy<Order> {
    use store::ticket_event::Kind;
    let clock = clock.clone();
    policy(move |event: store::TicketEvent, _| {
        let now = clock.now();
        match event.kind {
            Some(Kind::Rejected(_)) => with_order(&event.order, move |order| order.reject_by_store(now)),
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
    with_order(order, move |order| order.progress(to, now))
}

fn with_order(
    name: &str,
    mut decide: impl FnMut(&Order) -> Result<Decision<Order>, Error> + Send + 'static,
) -> Result<Reaction<Order>, Error> {
    let id = id_in("orders", name).map_err(|reason| Error::precondition("UNREADABLE_EVENT", reason))?;
    let name = name.to_owned();
    Ok(Reaction::decide(id, move |order| decide(order.ok_or_else(|| Error::not_found(&name))?)))
}
