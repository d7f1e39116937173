//! The rules of an order. Pure: no database, no network, no clock.

#[cfg(test)]
mod tests;

use contracts::order::v1::{self as pb, order_event::Kind};
use engine::{Aggregate, Decision, StateName};
use jumun_core::{Error, Money, Reason, Time};
use payment_saga::{Payable, PaymentStatus};
use serde::{Deserialize, Serialize};

use crate::reasons;

/// The `state_reason` of a CANCELLED order; that of a REJECTED order comes from payment.
pub(crate) mod reason {
    /// Cancelled by the customer.
    pub(crate) const CANCELLED_BY_CUSTOMER: &str = "CANCELLED_BY_CUSTOMER";
    /// The store rejected the ticket.
    pub(crate) const STORE_REJECTED: &str = "STORE_REJECTED";
    /// The kitchen could not make it.
    pub(crate) const PRODUCTION_FAILED: &str = "PRODUCTION_FAILED";
}

engine::states! {
    /// The state of an order; the diagram is at the top of the crate.
    #[derive(PartialOrd, Ord)]
    pub enum State: pb::order::State {
        Pending,
        Voiding,
        Rejected,
        Placed,
        OutOfStock,
        Accepted,
        Cooking,
        Producing,
        Ready,
        PickedUp,
        Completed,
        Cancelled,
    }
}

/// One line of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// The product, `items/{id}`.
    pub item: String,
    /// How many.
    pub quantity: i32,
    /// The price of one, in minor units of the order's currency.
    pub unit_price: i64,
}

/// An order of a customer at a store.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Order {
    pub id: String,
    pub customer: String,
    pub store: String,
    pub items: Vec<Item>,
    pub total: Money,
    pub fulfillment: String,
    pub payment_method: String,
    pub state: State,
    pub state_reason: String,
    pub payment: String,
    pub create_time: Time,
    /// When it became PLACED; its state may have advanced since.
    pub placed_time: Option<Time>,
    pub update_time: Time,
}

impl Order {
    /// Cancels it for the customer: allowed until cooking starts. Repeated, it changes nothing.
    pub(crate) fn cancel(&self, now: Time) -> Result<Decision<Order>, Error> {
        match self.state {
            State::Placed | State::OutOfStock | State::Accepted => {
                self.cancel_because(reason::CANCELLED_BY_CUSTOMER, now)
            }
            State::Cancelled => Ok(Decision::Leave),
            State::Pending | State::Voiding => {
                Err(Error::new(&reasons::ORDER_PENDING, format!("{} is not placed yet", self.name())))
            }
            state => Err(Error::new(
                &reasons::ORDER_NOT_CANCELLABLE,
                format!("{} is {} and can no longer be cancelled", self.name(), state.name()),
            )
            .with("state", state.name())),
        }
    }

    /// Cancels it because the store rejected its ticket. An order that was cancelled before keeps its reason.
    pub(crate) fn cancel_by_store(&self, now: Time) -> Result<Decision<Order>, Error> {
        if self.state == State::Placed { self.cancel_because(reason::STORE_REJECTED, now) } else { Ok(Decision::Leave) }
    }

    /// Advances it to a state that another context reports. Events of different contexts can overtake each other, so
    /// its state never goes back.
    pub(crate) fn progress(&self, to: State, now: Time) -> Result<Decision<Order>, Error> {
        if !self.is_in_progress() || self.state >= to {
            return Ok(Decision::Leave);
        }
        let order = Order { state: to, update_time: now, ..self.clone() };
        if to == State::Completed {
            let payload = pb::OrderCompleted { order: self.name(), customer: self.customer.clone() };
            return Decision::announce(order, event(Kind::Completed(payload)));
        }
        Decision::save(order)
    }

    /// Cancels it because the kitchen will not make it.
    pub(crate) fn cancel_by_kitchen(&self, reason: &str, now: Time) -> Result<Decision<Order>, Error> {
        if self.is_in_progress() { self.cancel_because(reason, now) } else { Ok(Decision::Leave) }
    }

    /// Whether it is collected at the counter and made by the kitchen.
    pub(crate) fn is_counter_order(&self) -> bool {
        self.fulfillment == pb::order::Fulfillment::Counter.as_str_name()
    }

    /// Whether only the kitchen can decide if it can still be cancelled.
    pub(crate) fn needs_kitchen_consent(&self) -> bool {
        self.is_counter_order() && matches!(self.state, State::Placed | State::OutOfStock)
    }

    /// Whether its state is final.
    pub fn is_final(&self) -> bool {
        matches!(self.state, State::Rejected | State::Completed | State::Cancelled)
    }

    /// Whether it was placed and is not final.
    fn is_in_progress(&self) -> bool {
        (State::Placed..State::Completed).contains(&self.state)
    }

    fn cancel_because(&self, reason: &str, now: Time) -> Result<Decision<Order>, Error> {
        let (order, customer) = (self.name(), self.customer.clone());
        let payload = pb::OrderCancelled { order, reason: reason.to_owned(), customer };
        Decision::announce(self.with_state(State::Cancelled, reason, now), event(Kind::Cancelled(payload)))
    }

    fn with_state(&self, state: State, reason: &str, now: Time) -> Order {
        Order { state, state_reason: reason.to_owned(), update_time: now, ..self.clone() }
    }

    fn summary(&self) -> pb::OrderSummary {
        let item = |item: &Item| pb::order_summary::Item {
            item: item.item.clone(),
            quantity: item.quantity,
            unit_price: self.price(item),
        };
        pb::OrderSummary {
            customer: self.customer.clone(),
            store: self.store.clone(),
            items: self.items.iter().map(item).collect(),
            total: Some(self.total.into()),
            fulfillment: self.fulfillment.clone(),
        }
    }

    fn price(&self, item: &Item) -> Option<contracts::Money> {
        Money::new(self.total.currency(), item.unit_price).ok().map(Into::into)
    }
}

impl Payable for Order {
    const KIND: &'static str = "order";
    const UNCONFIRMED: &'static Reason = &reasons::ORDER_NOT_PLACED;

    fn name(&self) -> String {
        format!("orders/{}", self.id)
    }

    fn amount(&self) -> Money {
        self.total
    }

    fn payment_method(&self) -> &str {
        &self.payment_method
    }

    fn payment_status(&self) -> PaymentStatus<'_> {
        match self.state {
            State::Pending => PaymentStatus::Pending,
            State::Voiding => PaymentStatus::Voiding,
            State::Rejected => PaymentStatus::Rejected(&self.state_reason),
            _ => PaymentStatus::Confirmed,
        }
    }

    fn as_confirmed(&self) -> Option<Order> {
        let placed_time = self.placed_time?;
        Some(Order { state: State::Placed, state_reason: String::new(), update_time: placed_time, ..self.clone() })
    }

    fn confirm(&self, payment: &str, now: Time) -> Result<Decision<Order>, Error> {
        if self.state != State::Pending {
            return Ok(Decision::Leave);
        }
        let placed = Order {
            state: State::Placed,
            payment: payment.to_owned(),
            placed_time: Some(now),
            update_time: now,
            ..self.clone()
        };
        let payload =
            pb::OrderPlaced { order: self.name(), payment: payment.to_owned(), summary: Some(self.summary()) };
        Decision::announce(placed, event(Kind::Placed(payload)))
    }

    fn start_voiding(&self, now: Time) -> Result<Decision<Order>, Error> {
        match self.state {
            State::Pending => Decision::save(Order { state: State::Voiding, update_time: now, ..self.clone() }),
            _ => Ok(Decision::Leave),
        }
    }

    fn reject(&self, reason: &str, now: Time) -> Result<Decision<Order>, Error> {
        if !matches!(self.state, State::Pending | State::Voiding) {
            return Ok(Decision::Leave);
        }
        let payload =
            pb::OrderRejected { order: self.name(), reason: reason.to_owned(), summary: Some(self.summary()) };
        Decision::announce(self.with_state(State::Rejected, reason, now), event(Kind::Rejected(payload)))
    }
}

impl Aggregate for Order {
    type Event = pb::OrderEvent;
    type Resource = pb::Order;

    fn id(&self) -> &str {
        &self.id
    }

    fn resource(&self) -> pb::Order {
        let item = |item: &Item| pb::order::Item {
            item: item.item.clone(),
            quantity: item.quantity,
            unit_price: self.price(item),
        };
        pb::Order {
            name: self.name(),
            uid: self.id.clone(),
            customer: self.customer.clone(),
            store: self.store.clone(),
            items: self.items.iter().map(item).collect(),
            total: Some(self.total.into()),
            fulfillment: pb::order::Fulfillment::from_str_name(&self.fulfillment).unwrap_or_default().into(),
            payment_method: self.payment_method.clone(),
            state: self.state.into(),
            state_reason: self.state_reason.clone(),
            payment: self.payment.clone(),
            create_time: Some(self.create_time.to_timestamp()),
            update_time: Some(self.update_time.to_timestamp()),
        }
    }
}

fn event(kind: Kind) -> pb::OrderEvent {
    pb::OrderEvent { kind: Some(kind) }
}
