//! The rules of an order. Pure: no database, no network, no clock.

#[cfg(test)]
mod tests;

use contracts::order::v1::{self as pb, order_event::Kind};
use engine::{Aggregate, Decision, StateName};
use jumun_core::{Error, Money, Reason, Time};
use payment_saga::{Payable, PaymentStatus};
use serde::{Deserialize, Serialize};

use crate::reasons;

/// Why an order is CANCELLED; why it is REJECTED, payment says.
pub(crate) mod reason {
    /// The customer withdrew it.
    pub(crate) const CANCELLED_BY_CUSTOMER: &str = "CANCELLED_BY_CUSTOMER";
    /// The store turned it down.
    pub(crate) const STORE_REJECTED: &str = "STORE_REJECTED";
    /// The kitchen gave it up.
    pub(crate) const PRODUCTION_FAILED: &str = "PRODUCTION_FAILED";
}

engine::states! {
    /// Where an order stands; the diagram is at the top of the crate.
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
    /// What is bought.
    pub item: String,
    /// How many.
    pub quantity: i32,
    /// The price of one, in minor units of the order's currency.
    pub unit_price: i64,
}

/// What a customer asked a store for.
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
    /// When it became PLACED; it may be further by now.
    pub placed_time: Option<Time>,
    pub update_time: Time,
}

impl Order {
    /// The customer withdraws it: allowed until cooking starts, and again when it is withdrawn already.
    pub(crate) fn cancel(&self, now: Time) -> Result<Decision<Order>, Error> {
        match self.state {
            State::Placed | State::OutOfStock | State::Accepted => self.withdraw(reason::CANCELLED_BY_CUSTOMER, now),
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

    /// The store turned it down. What the customer was told stands: an order withdrawn before stays so.
    pub(crate) fn reject_by_store(&self, now: Time) -> Result<Decision<Order>, Error> {
        if self.state == State::Placed { self.withdraw(reason::STORE_REJECTED, now) } else { Ok(Decision::Leave) }
    }

    /// Store and delivery report how far it is. Their reports may overtake each other, so it only goes forward.
    pub(crate) fn progress(&self, to: State, now: Time) -> Result<Decision<Order>, Error> {
        if !self.is_underway() || self.state >= to {
            return Ok(Decision::Leave);
        }
        let order = Order { state: to, update_time: now, ..self.clone() };
        if to == State::Completed {
            let happened = pb::OrderCompleted { order: self.name(), customer: self.customer.clone() };
            return Decision::announce(order, event(Kind::Completed(happened)));
        }
        Decision::save(order)
    }

    /// The kitchen says that it will not be made, for this reason.
    pub(crate) fn reject_by_kitchen(&self, reason: &str, now: Time) -> Result<Decision<Order>, Error> {
        if self.is_underway() { self.withdraw(reason, now) } else { Ok(Decision::Leave) }
    }

    /// Whether it is fetched at the counter, so that the kitchen makes it.
    pub(crate) fn is_for_the_counter(&self) -> bool {
        self.fulfillment == pb::order::Fulfillment::Counter.as_str_name()
    }

    /// Whether only the kitchen knows if it can still be cancelled.
    pub(crate) fn is_up_to_the_kitchen(&self) -> bool {
        self.is_for_the_counter() && matches!(self.state, State::Placed | State::OutOfStock)
    }

    /// Whether nothing more happens to it.
    pub fn is_final(&self) -> bool {
        matches!(self.state, State::Rejected | State::Completed | State::Cancelled)
    }

    /// Whether it stands and is on its way.
    fn is_underway(&self) -> bool {
        (State::Placed..State::Completed).contains(&self.state)
    }

    fn withdraw(&self, reason: &str, now: Time) -> Result<Decision<Order>, Error> {
        let (order, customer) = (self.name(), self.customer.clone());
        let happened = pb::OrderCancelled { order, reason: reason.to_owned(), customer };
        Decision::announce(self.ended(State::Cancelled, reason, now), event(Kind::Cancelled(happened)))
    }

    fn ended(&self, state: State, reason: &str, now: Time) -> Order {
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
    const NOT_MADE: &'static Reason = &reasons::ORDER_NOT_PLACED;

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
            _ => PaymentStatus::Made,
        }
    }

    fn as_made(&self) -> Option<Order> {
        let placed_time = self.placed_time?;
        Some(Order { state: State::Placed, state_reason: String::new(), update_time: placed_time, ..self.clone() })
    }

    fn stand(&self, payment: &str, now: Time) -> Result<Decision<Order>, Error> {
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
        let happened =
            pb::OrderPlaced { order: self.name(), payment: payment.to_owned(), summary: Some(self.summary()) };
        Decision::announce(placed, event(Kind::Placed(happened)))
    }

    fn give_up(&self, now: Time) -> Result<Decision<Order>, Error> {
        match self.state {
            State::Pending => Decision::save(Order { state: State::Voiding, update_time: now, ..self.clone() }),
            _ => Ok(Decision::Leave),
        }
    }

    fn reject(&self, reason: &str, now: Time) -> Result<Decision<Order>, Error> {
        if !matches!(self.state, State::Pending | State::Voiding) {
            return Ok(Decision::Leave);
        }
        let happened =
            pb::OrderRejected { order: self.name(), reason: reason.to_owned(), summary: Some(self.summary()) };
        Decision::announce(self.ended(State::Rejected, reason, now), event(Kind::Rejected(happened)))
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
