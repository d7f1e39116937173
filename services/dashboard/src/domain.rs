//! The rules of a view. Pure: no database, no network, no clock.

use contracts::dashboard::v1 as pb;
use kit::{Aggregate, Error, Message, Money, StateName, Time};
use serde::{Deserialize, Serialize};

use crate::{
    event::{Happening, Summary},
    reasons,
};

/// Entries of one history. A whole course has a dozen; beyond this something announces in circles.
pub const MAX_HISTORY: usize = 64;

/// Where an order stands, by the names of `jumun.order.v1.Order.State`. A later one outweighs those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs)]
pub enum State {
    Placed,
    Accepted,
    Cooking,
    Ready,
    PickedUp,
    Completed,
    // What ended an order outweighs any progress: the store may have cooked before it heard.
    Rejected,
    Cancelled,
}

impl StateName for State {
    const NAMES: &'static [(Self, &'static str)] = &[
        (Self::Placed, "PLACED"),
        (Self::Accepted, "ACCEPTED"),
        (Self::Cooking, "COOKING"),
        (Self::Ready, "READY"),
        (Self::PickedUp, "PICKED_UP"),
        (Self::Completed, "COMPLETED"),
        (Self::Rejected, "REJECTED"),
        (Self::Cancelled, "CANCELLED"),
    ];
}

/// The context that an entry comes from, in the order of a course: it decides between events of the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Source {
    Payment,
    Order,
    Store,
    Delivery,
}

/// Something that happened to an order. Entries are sorted by their fields, from the first on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Entry {
    /// When, by the clock of the context that announced it.
    #[serde(with = "Micros")]
    pub time: Time,
    /// Where.
    pub source: Source,
    /// Its place among the events of the source about this order; with the source it names the event.
    pub number: i64,
    /// What, e.g. `COOKING_STARTED`.
    pub kind: String,
    /// How far the order is by it, if it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
    /// The rider that it names, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rider: Option<String>,
}

/// How an entry stores its time.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Time")]
struct Micros(i64);

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
    /// At most [`MAX_HISTORY`] entries, sorted.
    pub history: Vec<Entry>,
    /// When the order was placed or rejected; until that is heard of, when the first thing happened.
    pub create_time: Time,
    pub update_time: Time,
}

impl OrderView {
    /// The view after one more event; None when the event concerns no view. The order of the events does not matter
    /// (rule S9), and one that comes again changes nothing.
    pub fn fold(view: Option<&OrderView>, message: &Message) -> Result<Option<OrderView>, Error> {
        let Some(happening) = Happening::read(message)? else { return Ok(None) };
        Self::after(view, &happening).map(Some)
    }

    /// The view after what an event tells.
    pub(crate) fn after(view: Option<&OrderView>, happening: &Happening) -> Result<OrderView, Error> {
        let mut view = view.cloned().unwrap_or_else(|| Self::unheard_of(&happening.order));
        debug_assert_eq!(view.id, happening.order, "an event is folded into its own order's view");
        let Err(place) = view.history.binary_search(&happening.entry) else { return Ok(view) };
        if view.history.len() >= MAX_HISTORY {
            let message = format!("{} has {MAX_HISTORY} entries already", view.name());
            return Err(Error::new(&reasons::HISTORY_FULL, message));
        }
        view.history.insert(place, happening.entry.clone());
        if let Some(summary) = &happening.summary {
            view.take(summary);
        }
        view.follow_history();
        Ok(view)
    }

    fn unheard_of(id: &str) -> Self {
        Self { id: id.to_owned(), ..Self::default() }
    }

    /// Takes over what was ordered.
    fn take(&mut self, summary: &Summary) {
        self.customer.clone_from(&summary.customer);
        self.store.clone_from(&summary.store);
        self.items.clone_from(&summary.items);
        self.total = Some(summary.total);
    }

    /// Works out anew what follows from the history.
    fn follow_history(&mut self) {
        // The order's own first event says that it was placed or rejected.
        let created = self.of(Source::Order).min_by_key(|entry| entry.number);
        let furthest = self.history.iter().filter_map(|entry| entry.state).max();
        let paid = self.of(Source::Payment).max_by_key(|entry| entry.number);
        let ridden = self.of(Source::Delivery).filter(|entry| entry.rider.is_some()).max_by_key(|entry| entry.number);

        let state = created.and(furthest);
        let create_time = created.or(self.history.first()).map(|entry| entry.time);
        let payment_state = paid.map(|entry| payment_state(entry).to_owned());
        let rider = ridden.and_then(|entry| entry.rider.clone());
        let update_time = self.history.last().map(|entry| entry.time);

        self.state = state;
        self.create_time = create_time.unwrap_or_default();
        self.payment_state = payment_state.unwrap_or_default();
        self.rider = rider.unwrap_or_default();
        self.update_time = update_time.unwrap_or_default();
    }

    fn of(&self, source: Source) -> impl Iterator<Item = &Entry> {
        self.history.iter().filter(move |entry| entry.source == source)
    }

    /// `orderViews/{id}`.
    pub fn name(&self) -> String {
        format!("orderViews/{}", self.id)
    }

    fn price(&self, item: &Item) -> Option<contracts::Money> {
        Money::new(self.total?.currency(), item.unit_price).ok().map(Money::to_wire)
    }
}

/// Each event of a payment has the name of the state that it leads to, e.g. `PAYMENT_CAPTURED`.
fn payment_state(entry: &Entry) -> &str {
    entry.kind.strip_prefix("PAYMENT_").unwrap_or_default()
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
        let entry =
            |entry: &Entry| pb::order_view::Entry { state: entry.kind.clone(), time: Some(entry.time.to_timestamp()) };
        pb::OrderView {
            name: self.name(),
            order: format!("orders/{}", self.id),
            customer: self.customer.clone(),
            store: self.store.clone(),
            items: self.items.iter().map(item).collect(),
            total: self.total.map(Money::to_wire),
            state: self.state.map(StateName::name).unwrap_or_default().to_owned(),
            payment_state: self.payment_state.clone(),
            rider: self.rider.clone(),
            history: self.history.iter().map(entry).collect(),
            create_time: Some(self.create_time.to_timestamp()),
            update_time: Some(self.update_time.to_timestamp()),
        }
    }

    fn kind((): &()) -> &'static str {
        ""
    }
}

#[cfg(test)]
mod tests;
