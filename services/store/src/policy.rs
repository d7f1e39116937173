//! Opens the tickets of placed orders, and cancels those of cancelled orders.

#[cfg(test)]
mod tests;

use contracts::order::v1::{OrderEvent, OrderPlaced, order::Fulfillment, order_event::Kind};
use eventing::{EventEffect, Policy, event_id, policy};
use jumun_core::{Clock, Error, Time};

use crate::domain::{Item, State, Ticket};

/// Applies the events of an order.
pub(crate) fn on_order_event(clock: &Clock) -> Policy<Ticket> {
    let clock = clock.clone();
    policy(move |event: OrderEvent, _| {
        let now = clock.now();
        match event.kind {
            Some(Kind::Placed(placed)) => open(placed, now),
            Some(Kind::Cancelled(cancelled)) => {
                let id = event_id("orders", &cancelled.order)?;
                Ok(EventEffect::decide(id, move |ticket| Ticket::cancel(ticket, now)))
            }
            Some(Kind::Rejected(_) | Kind::Completed(_)) | None => Ok(EventEffect::Ignore),
        }
    })
}

/// Opens a ticket for a delivery order; the kitchen context makes counter orders.
fn open(placed: OrderPlaced, now: Time) -> Result<EventEffect<Ticket>, Error> {
    let id = event_id("orders", &placed.order)?.to_owned();
    let summary = placed.summary.ok_or_else(|| Error::unreadable_event(format!("{} has no summary", placed.order)))?;
    if summary.fulfillment != Fulfillment::Delivery.as_str_name() {
        return Ok(EventEffect::Ignore);
    }
    let items = summary.items.into_iter().map(|line| Item { item: line.item, quantity: line.quantity });
    let opened = Ticket {
        id: id.clone(),
        store: summary.store,
        items: items.collect(),
        state: State::Open,
        create_time: now,
        update_time: now,
    };
    Ok(EventEffect::decide(id, move |existing| Ticket::open(existing, &opened)))
}
