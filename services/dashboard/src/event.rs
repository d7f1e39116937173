//! Reads the events of other contexts about an order: one line for each kind of event.

use contracts::{
    delivery::v1::{DeliveryEvent, delivery_event},
    kitchen::v1::{ProductionEvent, production_event},
    order::v1::{OrderEvent, OrderSummary, order_event, order_summary},
    payment::v1::{PaymentEvent, payment_event},
    store::v1::{TicketEvent, ticket_event},
};
use eventing::{decode, event_id};
use jumun_core::{Envelope, Error, Money};

use crate::{
    domain::{Item, OrderView, State, Summary},
    history::{self, Entry, Source},
    view::{View, ViewUpdate},
};

impl View for OrderView {
    const SOURCES: &'static [&'static str] = &["payment", "order", "store", "kitchen", "delivery"];
    type State = State;
    type Summary = Summary;

    fn read(message: &Envelope) -> Result<Option<ViewUpdate<Self>>, Error> {
        read(message)
    }

    fn empty(id: &str) -> Self {
        Self { id: id.to_owned(), ..Self::default() }
    }

    fn name(&self) -> String {
        format!("orderViews/{}", self.id)
    }

    fn history(&mut self) -> &mut Vec<Entry<State>> {
        &mut self.history
    }

    fn set_summary(&mut self, summary: &Summary) {
        self.customer.clone_from(&summary.customer);
        self.store.clone_from(&summary.store);
        self.items.clone_from(&summary.items);
        self.total = Some(summary.total);
    }

    fn derive_from_history(&mut self) {
        let starts = history::of(&self.history, Source::Delivery).filter(|entry| entry.rider.is_some());
        let rider = starts.max_by_key(|entry| entry.number).and_then(|entry| entry.rider.clone());
        // The state is unknown until the order's own first event, which says that it was placed or rejected.
        self.state = history::first(&self.history, Source::Order).and(history::furthest(&self.history));
        self.rider = rider.unwrap_or_default();
        self.payment_state = history::payment_state(&self.history);
        (self.create_time, self.update_time) = history::times(&self.history, Source::Order);
    }
}

/// Reads an event; None when it concerns no order, or is of a kind that this version does not know.
pub(crate) fn read(message: &Envelope) -> Result<Option<ViewUpdate<OrderView>>, Error> {
    match message.context.as_str() {
        "payment" => read_payment_event(message, "orders"),
        "order" => read_order_event(message),
        "store" => read_ticket_event(message),
        "kitchen" => read_production_event(message),
        "delivery" => read_delivery_event(message),
        _ => Ok(None),
    }
}

/// Reads an event of a payment; None when its payable is of another collection.
pub(crate) fn read_payment_event<V: View>(
    message: &Envelope,
    collection: &str,
) -> Result<Option<ViewUpdate<V>>, Error> {
    use payment_event::Kind;
    let event: PaymentEvent = decode(message)?;
    let kind = match event.kind {
        Some(Kind::Authorized(_)) => "PAYMENT_AUTHORIZED",
        Some(Kind::Declined(_)) => "PAYMENT_DECLINED",
        Some(Kind::Captured(_)) => "PAYMENT_CAPTURED",
        Some(Kind::Voided(_)) => "PAYMENT_VOIDED",
        Some(Kind::Refunded(_)) => "PAYMENT_REFUNDED",
        None => return Ok(None),
    };
    if event.payable.split('/').next() != Some(collection) {
        return Ok(None);
    }
    Ok(Some(ViewUpdate::new(message, Source::Payment, event_id(collection, &event.payable)?, kind, None)))
}

fn read_order_event(message: &Envelope) -> Result<Option<ViewUpdate<OrderView>>, Error> {
    use order_event::Kind;
    let event: OrderEvent = decode(message)?;
    let update = |order: &str, kind, state| {
        Ok::<_, Error>(ViewUpdate::new(message, Source::Order, event_id("orders", order)?, kind, Some(state)))
    };
    Ok(Some(match event.kind {
        Some(Kind::Placed(placed)) => {
            let summary = Some(read_summary(placed.summary)?);
            ViewUpdate { summary, ..update(&placed.order, "ORDER_PLACED", State::Placed)? }
        }
        Some(Kind::Rejected(rejected)) => {
            let summary = Some(read_summary(rejected.summary)?);
            ViewUpdate { summary, ..update(&rejected.order, "ORDER_REJECTED", State::Rejected)? }
        }
        Some(Kind::Cancelled(cancelled)) => update(&cancelled.order, "ORDER_CANCELLED", State::Cancelled)?,
        Some(Kind::Completed(completed)) => update(&completed.order, "ORDER_COMPLETED", State::Completed)?,
        None => return Ok(None),
    }))
}

fn read_ticket_event(message: &Envelope) -> Result<Option<ViewUpdate<OrderView>>, Error> {
    use ticket_event::Kind;
    let event: TicketEvent = decode(message)?;
    let (kind, state) = match event.kind {
        Some(Kind::Opened(_)) => ("TICKET_OPENED", None),
        Some(Kind::Accepted(_)) => ("TICKET_ACCEPTED", Some(State::Accepted)),
        // The order announces its cancellation itself, after this event.
        Some(Kind::Rejected(_)) => ("TICKET_REJECTED", None),
        Some(Kind::CookingStarted(_)) => ("COOKING_STARTED", Some(State::Cooking)),
        Some(Kind::CookingFinished(_)) => ("COOKING_FINISHED", Some(State::Ready)),
        Some(Kind::Cancelled(_)) => ("TICKET_CANCELLED", None),
        None => return Ok(None),
    };
    Ok(Some(ViewUpdate::new(message, Source::Store, event_id("orders", &event.order)?, kind, state)))
}

fn read_production_event(message: &Envelope) -> Result<Option<ViewUpdate<OrderView>>, Error> {
    use production_event::Kind;
    let event: ProductionEvent = decode(message)?;
    let (kind, state) = match event.kind {
        Some(Kind::Opened(_)) => ("PRODUCTION_OPENED", None),
        Some(Kind::OutOfStock(_)) => ("OUT_OF_STOCK", Some(State::OutOfStock)),
        Some(Kind::Started(_)) => ("PRODUCTION_STARTED", Some(State::Producing)),
        Some(Kind::Completed(_)) => ("PRODUCTION_COMPLETED", Some(State::Completed)),
        // The order announces its cancellation itself, after these events.
        Some(Kind::Cancelled(_)) => ("PRODUCTION_CANCELLED", None),
        Some(Kind::Failed(_)) => ("PRODUCTION_FAILED", None),
        None => return Ok(None),
    };
    Ok(Some(ViewUpdate::new(message, Source::Kitchen, event_id("orders", &event.order)?, kind, state)))
}

fn read_delivery_event(message: &Envelope) -> Result<Option<ViewUpdate<OrderView>>, Error> {
    use delivery_event::Kind;
    let event: DeliveryEvent = decode(message)?;
    let (kind, state, rider) = match event.kind {
        Some(Kind::Scheduled(_)) => ("DELIVERY_SCHEDULED", None, None),
        Some(Kind::Started(started)) => ("DELIVERY_STARTED", None, Some(started.rider)),
        Some(Kind::PickedUp(_)) => ("DELIVERY_PICKED_UP", Some(State::PickedUp), None),
        Some(Kind::Completed(_)) => ("DELIVERY_COMPLETED", Some(State::Completed), None),
        Some(Kind::Cancelled(_)) => ("DELIVERY_CANCELLED", None, None),
        None => return Ok(None),
    };
    let mut update = ViewUpdate::new(message, Source::Delivery, event_id("orders", &event.order)?, kind, state);
    update.entry.rider = rider;
    Ok(Some(update))
}

fn read_summary(summary: Option<OrderSummary>) -> Result<Summary, Error> {
    let summary = summary.ok_or_else(|| Error::unreadable_event("the summary of the order is missing"))?;
    let total = read_money(summary.total.as_ref())?;
    let items = summary.items.iter().map(|item| read_item(item, total)).collect::<Result<_, _>>()?;
    Ok(Summary { customer: summary.customer, store: summary.store, items, total })
}

fn read_item(item: &order_summary::Item, total: Money) -> Result<Item, Error> {
    let price = read_money(item.unit_price.as_ref())?;
    if price.currency() != total.currency() {
        return Err(Error::unreadable_event("the lines and the total have different currencies"));
    }
    Ok(Item { item: item.item.clone(), quantity: item.quantity, unit_price: price.minor() })
}

/// Reads a required amount.
pub(crate) fn read_money(money: Option<&contracts::Money>) -> Result<Money, Error> {
    Money::try_from(money.ok_or_else(|| Error::unreadable_event("an amount is missing"))?)
        .map_err(Error::unreadable_event)
}
