//! The rules of stock. Pure: no database, no network, no clock.

#[cfg(test)]
mod tests;

use contracts::warehouse::v1::{self as pb, stock_item_event::Kind};
use engine::{Aggregate, Decision};
use jumun_core::{Error, Time};

use crate::reasons;

/// More than anybody has of anything: sums stay far from the end of the numbers.
const MAX_QUANTITY: i64 = 1_000_000_000_000;

/// A product, and how much of it there is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct StockItem {
    /// The product's, too.
    pub id: String,
    /// Never less than zero.
    pub quantity: i64,
    pub create_time: Time,
    pub update_time: Time,
}

impl StockItem {
    /// `stockItems/{id}`.
    pub fn name(&self) -> String {
        format!("stockItems/{}", self.id)
    }

    /// `items/{id}`: what orders call it.
    pub fn item(&self) -> String {
        format!("items/{}", self.id)
    }

    /// The product is taken into the range; once.
    pub(crate) fn create(existing: Option<&StockItem>, created: &StockItem) -> Result<Decision<StockItem>, Error> {
        match existing {
            None => Decision::announce(created.clone(), created.event(Kind::Created(pb::StockItemCreated {}))),
            Some(item) => Err(Error::new(&reasons::STOCK_ITEM_EXISTS, format!("{} is there already", item.name()))),
        }
    }

    /// More came in.
    pub(crate) fn restock(&self, quantity: i64, now: Time) -> Result<Decision<StockItem>, Error> {
        self.add(quantity, Kind::Restocked(pb::StockRestocked { quantity }), now)
    }

    /// A production takes all that it asks for, or nothing.
    pub(crate) fn reduce(&self, production: &str, quantity: i64, now: Time) -> Result<Decision<StockItem>, Error> {
        if quantity > self.quantity {
            let message = format!("there are {} of {}, not {quantity}", self.quantity, self.name());
            return Err(Error::new(&reasons::NOT_ENOUGH_STOCK, message).with("available", self.quantity.to_string()));
        }
        let happened = pb::StockReduced { production: production.to_owned(), quantity };
        self.turn(self.quantity - quantity, Kind::Reduced(happened), now)
    }

    /// A production gives back what it took. That it did take it is known from the requests.
    pub(crate) fn release(&self, production: &str, quantity: i64, now: Time) -> Result<Decision<StockItem>, Error> {
        let happened = pb::StockReleased { production: production.to_owned(), quantity };
        self.add(quantity, Kind::Released(happened), now)
    }

    fn add(&self, quantity: i64, kind: Kind, now: Time) -> Result<Decision<StockItem>, Error> {
        match self.quantity.checked_add(quantity).filter(|sum| *sum <= MAX_QUANTITY) {
            Some(sum) => self.turn(sum, kind, now),
            None => Err(Error::new(&reasons::TOO_MUCH_STOCK, format!("{} would have too many", self.name()))),
        }
    }

    fn turn(&self, quantity: i64, kind: Kind, now: Time) -> Result<Decision<StockItem>, Error> {
        let item = StockItem { quantity, update_time: now, ..self.clone() };
        let event = item.event(kind);
        Decision::announce(item, event)
    }

    fn event(&self, kind: Kind) -> pb::StockItemEvent {
        pb::StockItemEvent { stock_item: self.name(), item: self.item(), quantity: self.quantity, kind: Some(kind) }
    }
}

impl Aggregate for StockItem {
    type Event = pb::StockItemEvent;
    type Resource = pb::StockItem;

    fn id(&self) -> &str {
        &self.id
    }

    fn resource(&self) -> pb::StockItem {
        pb::StockItem {
            name: self.name(),
            item: self.item(),
            quantity: self.quantity,
            create_time: Some(self.create_time.to_timestamp()),
            update_time: Some(self.update_time.to_timestamp()),
        }
    }
}
