//! The rules of an order's view. Pure: no database, no network, no clock.

use contracts::dashboard::v1 as pb;
use engine::{Aggregate, StateName};
use jumun_core::{Money, Time};
use serde::{Deserialize, Serialize};

use crate::{history::Entry, view::View};

engine::states! {
    /// Where an order stands, by the names of `jumun.order.v1.Order.State`. A later one outweighs those before it.
    #[derive(PartialOrd, Ord, Serialize, Deserialize)]
    #[serde(rename_all = "SCREAMING_SNAKE_CASE")]
    pub enum State: contracts::order::v1::order::State, without Pending, Voiding {
        Placed,
        OutOfStock,
        Accepted,
        Cooking,
        Producing,
        Ready,
        PickedUp,
        Completed,
        // What ended an order outweighs any progress: the store may have cooked before it heard.
        Rejected,
        Cancelled,
    }
}

/// One line of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// What was bought.
    pub item: String,
    /// How many.
    pub quantity: i32,
    /// The price of one, in minor units of the total's currency.
    pub unit_price: i64,
}

/// The whole course of one order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct OrderView {
    /// The order's.
    pub id: String,
    pub customer: String,
    pub store: String,
    pub items: Vec<Item>,
    /// None, as the three above are empty, until the order itself is heard of.
    pub total: Option<Money>,
    /// None until the order itself is heard of.
    pub state: Option<State>,
    /// By the names of `jumun.payment.v1.Payment.State`; empty until the payment is heard of.
    pub payment_state: String,
    /// Empty until one set out.
    pub rider: String,
    /// At most [`crate::MAX_HISTORY`] entries, sorted.
    pub history: Vec<Entry<State>>,
    /// When the order was placed or rejected; until that is heard of, when the first thing happened.
    pub create_time: Time,
    pub update_time: Time,
}

/// What was ordered.
pub struct Summary {
    pub(crate) customer: String,
    pub(crate) store: String,
    pub(crate) items: Vec<Item>,
    pub(crate) total: Money,
}

impl OrderView {
    fn price(&self, item: &Item) -> Option<contracts::Money> {
        Money::new(self.total?.currency(), item.unit_price).ok().map(Into::into)
    }
}

impl Aggregate for OrderView {
    /// The dashboard announces nothing.
    type Event = ();
    type Resource = pb::OrderView;

    fn id(&self) -> &str {
        &self.id
    }

    fn resource(&self) -> pb::OrderView {
        let item = |item: &Item| pb::order_view::Item {
            item: item.item.clone(),
            quantity: item.quantity,
            unit_price: self.price(item),
        };
        let entry = |entry: &Entry<State>| pb::order_view::Entry {
            state: entry.kind.clone(),
            time: Some(entry.time.to_timestamp()),
        };
        pb::OrderView {
            name: self.name(),
            order: format!("orders/{}", self.id),
            customer: self.customer.clone(),
            store: self.store.clone(),
            items: self.items.iter().map(item).collect(),
            total: self.total.map(Into::into),
            state: self.state.map(StateName::name).unwrap_or_default().to_owned(),
            payment_state: self.payment_state.clone(),
            rider: self.rider.clone(),
            history: self.history.iter().map(entry).collect(),
            create_time: Some(self.create_time.to_timestamp()),
            update_time: Some(self.update_time.to_timestamp()),
        }
    }
}

#[cfg(test)]
mod tests;
