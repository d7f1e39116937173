//! The rules of a delivery. Pure: no database, no network, no clock.

#[cfg(test)]
mod tests;

use contracts::delivery::v1::{self as pb, delivery_event::Kind};
use engine::{Aggregate, Decision, StateName};
use jumun_core::{Error, Reason, Time};

use crate::reasons;

engine::states! {
    /// The state of a delivery; the diagram is at the top of the crate.
    pub enum State: pb::delivery::State {
        Scheduled,
        Started,
        PickedUp,
        Completed,
        Cancelled,
    }
}

/// The delivery of one order from the store to the customer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Delivery {
    /// The id of the order.
    pub id: String,
    pub store: String,
    /// Empty until a rider starts.
    pub rider: String,
    pub state: State,
    /// Whether the store has finished cooking.
    pub ready: bool,
    pub create_time: Time,
    pub update_time: Time,
}

impl Delivery {
    /// `deliveries/{id}`.
    pub fn name(&self) -> String {
        format!("deliveries/{}", self.id)
    }

    /// Schedules the delivery of an accepted ticket. A repeated event changes nothing.
    pub(crate) fn schedule(existing: Option<&Delivery>, scheduled: &Delivery) -> Result<Decision<Delivery>, Error> {
        match existing {
            None => Decision::announce(scheduled.clone(), scheduled.event(Kind::Scheduled(pb::DeliveryScheduled {}))),
            Some(_) => Ok(Decision::Leave),
        }
    }

    /// The store has finished cooking. The store announces that itself, so there is no event.
    pub(crate) fn mark_ready(&self, now: Time) -> Result<Decision<Delivery>, Error> {
        if self.ready || !self.is_before_pick_up() {
            return Ok(Decision::Leave);
        }
        Decision::save(Delivery { ready: true, update_time: now, ..self.clone() })
    }

    /// A rider sets out for the store, whether the food is ready or not.
    pub(crate) fn start(&self, rider: &str, now: Time) -> Result<Decision<Delivery>, Error> {
        self.require(State::Scheduled, &reasons::DELIVERY_NOT_SCHEDULED)?;
        let assigned = Delivery { rider: rider.to_owned(), ..self.clone() };
        assigned.transition(State::Started, Kind::Started(pb::DeliveryStarted { rider: rider.to_owned() }), now)
    }

    /// The rider picks up the food.
    pub(crate) fn pick_up(&self, now: Time) -> Result<Decision<Delivery>, Error> {
        self.require(State::Started, &reasons::DELIVERY_NOT_STARTED)?;
        if !self.ready {
            return Err(self.refusal(&reasons::NOT_READY, format!("{} is not cooked yet", self.name())));
        }
        self.transition(State::PickedUp, Kind::PickedUp(pb::DeliveryPickedUp {}), now)
    }

    /// The rider hands the food over to the customer.
    pub(crate) fn complete(&self, now: Time) -> Result<Decision<Delivery>, Error> {
        self.require(State::PickedUp, &reasons::DELIVERY_NOT_PICKED_UP)?;
        self.transition(State::Completed, Kind::Completed(pb::DeliveryCompleted {}), now)
    }

    /// Cancels the delivery of a cancelled ticket, if it was scheduled. Food that was picked up before is still
    /// delivered.
    pub(crate) fn cancel(existing: Option<&Delivery>, now: Time) -> Result<Decision<Delivery>, Error> {
        match existing {
            Some(delivery) if delivery.is_before_pick_up() => {
                delivery.transition(State::Cancelled, Kind::Cancelled(pb::DeliveryCancelled {}), now)
            }
            Some(_) | None => Ok(Decision::Leave),
        }
    }

    /// Whether the food was not picked up yet.
    fn is_before_pick_up(&self) -> bool {
        matches!(self.state, State::Scheduled | State::Started)
    }

    fn require(&self, state: State, reason: &'static Reason) -> Result<(), Error> {
        if self.state == state {
            return Ok(());
        }
        Err(self.refusal(reason, format!("{} is {}, not {}", self.name(), self.state.name(), state.name())))
    }

    fn refusal(&self, reason: &'static Reason, message: String) -> Error {
        Error::new(reason, message).with("state", self.state.name())
    }

    fn transition(&self, state: State, kind: Kind, now: Time) -> Result<Decision<Delivery>, Error> {
        Decision::announce(Delivery { state, update_time: now, ..self.clone() }, self.event(kind))
    }

    fn event(&self, kind: Kind) -> pb::DeliveryEvent {
        pb::DeliveryEvent { order: self.order(), kind: Some(kind) }
    }

    fn order(&self) -> String {
        format!("orders/{}", self.id)
    }
}

impl Aggregate for Delivery {
    type Event = pb::DeliveryEvent;
    type Resource = pb::Delivery;

    fn id(&self) -> &str {
        &self.id
    }

    fn resource(&self) -> pb::Delivery {
        pb::Delivery {
            name: self.name(),
            order: self.order(),
            store: self.store.clone(),
            rider: self.rider.clone(),
            state: self.state.into(),
            ready: self.ready,
            create_time: Some(self.create_time.to_timestamp()),
            update_time: Some(self.update_time.to_timestamp()),
        }
    }
}
