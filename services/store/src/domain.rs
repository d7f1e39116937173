//! The rules of a ticket. Pure: no database, no network, no clock.

#[cfg(test)]
mod tests;

use contracts::store::v1::{self as pb, ticket_event::Kind};
use engine::{Aggregate, Decision, StateName};
use jumun_core::{Error, Reason, Time};
use serde::{Deserialize, Serialize};

use crate::reasons;

engine::states! {
    /// The state of a ticket; the diagram is at the top of the crate.
    pub enum State: pb::ticket::State {
        Open,
        Accepted,
        Rejected,
        Cooking,
        Cooked,
        Cancelled,
    }
}

/// One line of a ticket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// The product, `items/{id}`.
    pub item: String,
    /// How many.
    pub quantity: i32,
}

/// The work of a store for one order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Ticket {
    /// The id of the order.
    pub id: String,
    pub store: String,
    pub items: Vec<Item>,
    pub state: State,
    pub create_time: Time,
    pub update_time: Time,
}

impl Ticket {
    /// `tickets/{id}`.
    pub fn name(&self) -> String {
        format!("tickets/{}", self.id)
    }

    /// Opens the ticket of a placed order. A repeated event changes nothing.
    pub(crate) fn open(existing: Option<&Ticket>, opened: &Ticket) -> Result<Decision<Ticket>, Error> {
        match existing {
            None => Decision::announce(opened.clone(), opened.event(Kind::Opened(pb::TicketOpened {}))),
            Some(_) => Ok(Decision::Leave),
        }
    }

    /// The store accepts the order.
    pub(crate) fn accept(&self, now: Time) -> Result<Decision<Ticket>, Error> {
        self.require(State::Open, &reasons::TICKET_NOT_OPEN)?;
        self.transition(State::Accepted, Kind::Accepted(pb::TicketAccepted {}), now)
    }

    /// The store rejects the order.
    pub(crate) fn reject(&self, now: Time) -> Result<Decision<Ticket>, Error> {
        self.require(State::Open, &reasons::TICKET_NOT_OPEN)?;
        self.transition(State::Rejected, Kind::Rejected(pb::TicketRejected {}), now)
    }

    /// The store starts cooking.
    pub(crate) fn start_cooking(&self, now: Time) -> Result<Decision<Ticket>, Error> {
        self.require(State::Accepted, &reasons::TICKET_NOT_ACCEPTED)?;
        self.transition(State::Cooking, Kind::CookingStarted(pb::CookingStarted {}), now)
    }

    /// The store finishes cooking.
    pub(crate) fn finish_cooking(&self, now: Time) -> Result<Decision<Ticket>, Error> {
        self.require(State::Cooking, &reasons::TICKET_NOT_COOKING)?;
        self.transition(State::Cooked, Kind::CookingFinished(pb::CookingFinished {}), now)
    }

    /// Cancels the ticket of a cancelled order. A counter order has no ticket.
    ///
    /// The order decides: it was cancelled before it received an event about cooking, and its payment is being
    /// refunded. So the ticket is cancelled even when the store has started or finished cooking in the meantime.
    pub(crate) fn cancel(existing: Option<&Ticket>, now: Time) -> Result<Decision<Ticket>, Error> {
        match existing {
            Some(ticket) if !ticket.is_ended() => {
                ticket.transition(State::Cancelled, Kind::Cancelled(pb::TicketCancelled {}), now)
            }
            Some(_) | None => Ok(Decision::Leave),
        }
    }

    /// Whether it was rejected or cancelled. A cooked ticket can still be cancelled.
    fn is_ended(&self) -> bool {
        matches!(self.state, State::Rejected | State::Cancelled)
    }

    fn require(&self, state: State, reason: &'static Reason) -> Result<(), Error> {
        if self.state == state {
            return Ok(());
        }
        let message = format!("{} is {}, not {}", self.name(), self.state.name(), state.name());
        Err(Error::new(reason, message).with("state", self.state.name()))
    }

    fn transition(&self, state: State, kind: Kind, now: Time) -> Result<Decision<Ticket>, Error> {
        Decision::announce(Ticket { state, update_time: now, ..self.clone() }, self.event(kind))
    }

    fn event(&self, kind: Kind) -> pb::TicketEvent {
        pb::TicketEvent { order: self.order(), store: self.store.clone(), kind: Some(kind) }
    }

    fn order(&self) -> String {
        format!("orders/{}", self.id)
    }
}

impl Aggregate for Ticket {
    type Event = pb::TicketEvent;
    type Resource = pb::Ticket;

    fn id(&self) -> &str {
        &self.id
    }

    fn resource(&self) -> pb::Ticket {
        let item = |item: &Item| pb::ticket::Item { item: item.item.clone(), quantity: item.quantity };
        pb::Ticket {
            name: self.name(),
            order: self.order(),
            store: self.store.clone(),
            items: self.items.iter().map(item).collect(),
            state: self.state.into(),
            create_time: Some(self.create_time.to_timestamp()),
            update_time: Some(self.update_time.to_timestamp()),
        }
    }
}
