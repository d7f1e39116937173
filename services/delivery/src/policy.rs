//! Schedules the deliveries of accepted tickets, marks them as ready, and cancels those of cancelled tickets.

#[cfg(test)]
mod tests;

use contracts::store::v1::{TicketEvent, ticket_event::Kind};
use eventing::{EventEffect, Policy, event_id, policy};
use jumun_core::{Clock, Error, Time};

use crate::domain::{Delivery, State};

/// Applies the events of a ticket.
pub(crate) fn on_ticket_event(clock: &Clock) -> Policy<Delivery> {
    let clock = clock.clone();
    policy(move |event: TicketEvent, _| {
        let now = clock.now();
        match event.kind {
            Some(Kind::Accepted(_)) => schedule(&event, now),
            Some(Kind::CookingFinished(_)) => mark_ready(&event, now),
            Some(Kind::Cancelled(_)) => {
                let id = event_id("orders", &event.order)?;
                Ok(EventEffect::decide(id, move |delivery| Delivery::cancel(delivery, now)))
            }
            Some(Kind::Opened(_) | Kind::Rejected(_) | Kind::CookingStarted(_)) | None => Ok(EventEffect::Ignore),
        }
    })
}

fn schedule(event: &TicketEvent, now: Time) -> Result<EventEffect<Delivery>, Error> {
    let id = event_id("orders", &event.order)?;
    let scheduled = Delivery {
        id: id.to_owned(),
        store: event.store.clone(),
        rider: String::new(),
        state: State::Scheduled,
        ready: false,
        create_time: now,
        update_time: now,
    };
    Ok(EventEffect::decide(id, move |existing| Delivery::schedule(existing, &scheduled)))
}

/// A ticket is accepted before it is cooked, and its events arrive in order. So a missing delivery is a defect, and the
/// event becomes a dead letter.
fn mark_ready(event: &TicketEvent, now: Time) -> Result<EventEffect<Delivery>, Error> {
    EventEffect::on_existing("orders", &event.order, move |delivery: &Delivery| delivery.mark_ready(now))
}
