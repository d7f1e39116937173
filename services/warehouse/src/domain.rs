//! The rules of stock. Pure: no database, no network, no clock.

#[cfg(test)]
mod tests;

use contracts::warehouse::v1::{self as pb, stock_item_event::Kind};
use engine::{Aggregate, Decision};
use jumun_core::{Error, Time};

use crate::reasons;

/// Above any real stock, and far below the greatest i64, so that sums cannot overflow.
const MAX_QUANTITY: i64 = 1_000_000_000_000;

/// A product, and its quantity in stock.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct StockItem {
    /// The id of the product.
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

    /// `items/{id}`, the name of the product in orders.
    pub fn item(&self) -> String {
        format!("items/{}", self.id)
    }

    /// Creates the stock item of a product; once.
    pub(crate) fn create(existing: Option<&StockItem>, created: &StockItem) -> Result<Decision<StockItem>, Error> {
        match existing {
            None => Decision::announce(created.clone(), created.event(Kind::Created(pb::StockItemCreated {}))),
            Some(item) => Err(Error::new(&reasons::STOCK_ITEM_EXISTS, format!("{} already exists", item.name()))),
        }
    }

    /// Adds new stock.
    pub(crate) fn restock(&self, quantity: i64, now: Time) -> Result<Decision<StockItem>, Error> {
        self.add(quantity, Kind::Restocked(pb::StockRestocked { quantity }), now)
    }

    /// Reserves stock for a production: all that it requests, or nothing.
    pub(crate) fn reduce(&self, production: &str, quantity: i64, now: Time) -> Result<Decision<StockItem>, Error> {
        if quantity > self.quantity {
            let message = format!("{} has {} in stock, not {quantity}", self.name(), self.quantity);
            return Err(Error::new(&reasons::NOT_ENOUGH_STOCK, message).with("available", self.quantity.to_string()));
        }
        let payload = pb::StockReduced { production: production.to_owned(), quantity };
        self.transition(self.quantity - quantity, Kind::Reduced(payload), now)
    }

    /// Returns what a production reserved. That it reserved it is recorded with the requests.
    pub(crate) fn release(&self, production: &str, quantity: i64, now: Time) -> Result<Decision<StockItem>, Error> {
        let payload = pb::StockReleased { production: production.to_owned(), quantity };
        self.add(quantity, Kind::Released(payload), now)
    }

    fn add(&self, quantity: i64, kind: Kind, now: Time) -> Result<Decision<StockItem>, Error> {
        match self.quantity.checked_add(quantity).filter(|sum| *sum <= MAX_QUANTITY) {
            Some(sum) => self.transition(sum, kind, now),
            None => Err(Error::new(&reasons::TOO_MUCH_STOCK, format!("{} would exceed {MAX_QUANTITY}", self.name()))),
        }
    }

    fn transition(&self, quantity: i64, kind: Kind, now: Time) -> Result<Decision<StockItem>, Error> {
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
