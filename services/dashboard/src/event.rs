//! What the other contexts' events tell about an order: one line for each thing that can happen.

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
    view::{Happening, View},
};

impl View for OrderView {
    const SOURCES: &'static [&'static str] = &["payment", "order", "store", "kitchen", "delivery"];
    type State = State;
    type Summary = Summary;

    fn read(message: &Envelope) -> Result<Option<Happening<Self>>, Error> {
        read(message)
    }

    fn unheard_of(id: &str) -> Self {
        Self { id: id.to_owned(), ..Self::default() }
    }

    fn name(&self) -> String {
        format!("orderViews/{}", self.id)
    }

    fn history(&mut self) -> &mut Vec<Entry<State>> {
        &mut self.history
    }

    fn take(&mut self, summary: &Summary) {
        self.customer.clone_from(&summary.customer);
        self.store.clone_from(&summary.store);
        self.items.clone_from(&summary.items);
        self.total = Some(summary.total);
    }

    fn follow_history(&mut self) {
        let ridden = history::of(&self.history, Source::Delivery).filter(|entry| entry.rider.is_some());
        let rider = ridden.max_by_key(|entry| entry.number).and_then(|entry| entry.rider.clone());
        // The order's own first event says that it was placed or rejected.
        self.state = history::first(&self.history, Source::Order).and(history::furthest(&self.history));
        self.rider = rider.unwrap_or_default();
        self.payment_state = history::payment_state(&self.history);
        (self.create_time, self.update_time) = history::times(&self.history, Source::Order);
    }
}

/// Reads an event; None when it is about no order, or of a kind that this version does not know.
pub(crate) fn read(message: &Envelope) -> Result<Option<Happening<OrderView>>, Error> {
    match message.context.as_str() {
        "payment" => payment(message, "orders"),
        "order" => of_order(message),
        "store" => of_ticket(message),
        "kitchen" => of_production(message),
        "delivery" => of_delivery(message),
        _ => Ok(None),
    }
}

/// Reads an event of a payment for something of this collection; other things are paid for too.
pub(crate) fn payment<V: View>(message: &Envelope, collection: &str) -> Result<Option<Happening<V>>, Error> {
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
    Ok(Some(Happening::new(message, Source::Payment, event_id(collection, &event.payable)?, kind, None)))
}

fn of_order(message: &Envelope) -> Result<Option<Happening<OrderView>>, Error> {
    use order_event::Kind;
    let event: OrderEvent = decode(message)?;
    let told = |order: &str, kind, state| {
        Ok::<_, Error>(Happening::new(message, Source::Order, event_id("orders", order)?, kind, Some(state)))
    };
    Ok(Some(match event.kind {
        Some(Kind::Placed(placed)) => {
            let summary = Some(read_summary(placed.summary)?);
            Happening { summary, ..told(&placed.order, "ORDER_PLACED", State::Placed)? }
        }
        Some(Kind::Rejected(rejected)) => {
            let summary = Some(read_summary(rejected.summary)?);
            Happening { summary, ..told(&rejected.order, "ORDER_REJECTED", State::Rejected)? }
        }
        Some(Kind::Cancelled(cancelled)) => told(&cancelled.order, "ORDER_CANCELLED", State::Cancelled)?,
        Some(Kind::Completed(completed)) => told(&completed.order, "ORDER_COMPLETED", State::Completed)?,
        None => return Ok(None),
    }))
}

fn of_ticket(message: &Envelope) -> Result<Option<Happening<OrderView>>, Error> {
    use ticket_event::Kind;
    let event: TicketEvent = decode(message)?;
    let (kind, state) = match event.kind {
        Some(Kind::Opened(_)) => ("TICKET_OPENED", None),
        Some(Kind::Accepted(_)) => ("TICKET_ACCEPTED", Some(State::Accepted)),
        // The order says itself that it is cancelled, when it hears of this.
        Some(Kind::Rejected(_)) => ("TICKET_REJECTED", None),
        Some(Kind::CookingStarted(_)) => ("COOKING_STARTED", Some(State::Cooking)),
        Some(Kind::CookingFinished(_)) => ("COOKING_FINISHED", Some(State::Ready)),
        Some(Kind::Cancelled(_)) => ("TICKET_CANCELLED", None),
        None => return Ok(None),
    };
    Ok(Some(Happening::new(message, Source::Store, event_id("orders", &event.order)?, kind, state)))
}

fn of_production(message: &Envelope) -> Result<Option<Happening<OrderView>>, Error> {
    use production_event::Kind;
    let event: ProductionEvent = decode(message)?;
    let (kind, state) = match event.kind {
        Some(Kind::Opened(_)) => ("PRODUCTION_OPENED", None),
        Some(Kind::OutOfStock(_)) => ("OUT_OF_STOCK", Some(State::OutOfStock)),
        Some(Kind::Started(_)) => ("PRODUCTION_STARTED", Some(State::Producing)),
        Some(Kind::Completed(_)) => ("PRODUCTION_COMPLETED", Some(State::Completed)),
        // The order says itself that it is cancelled, when it hears of these.
        Some(Kind::Cancelled(_)) => ("PRODUCTION_CANCELLED", None),
        Some(Kind::Failed(_)) => ("PRODUCTION_FAILED", None),
        None => return Ok(None),
    };
    Ok(Some(Happening::new(message, Source::Kitchen, event_id("orders", &event.order)?, kind, state)))
}

fn of_delivery(message: &Envelope) -> Result<Option<Happening<OrderView>>, Error> {
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
    let mut happening = Happening::new(message, Source::Delivery, event_id("orders", &event.order)?, kind, state);
    happening.entry.rider = rider;
    Ok(Some(happening))
}

fn read_summary(summary: Option<OrderSummary>) -> Result<Summary, Error> {
    let summary = summary.ok_or_else(|| Error::unreadable_event("it does not say what was ordered"))?;
    let total = read_money(summary.total.as_ref())?;
    let items = summary.items.iter().map(|item| read_item(item, total)).collect::<Result<_, _>>()?;
    Ok(Summary { customer: summary.customer, store: summary.store, items, total })
}

fn read_item(item: &order_summary::Item, total: Money) -> Result<Item, Error> {
    let price = read_money(item.unit_price.as_ref())?;
    if price.currency() != total.currency() {
        return Err(Error::unreadable_event("its lines and its total are in different currencies"));
    }
    Ok(Item { item: item.item.clone(), quantity: item.quantity, unit_price: price.minor() })
}

/// Reads an amount that an event must have.
pub(crate) fn read_money(money: Option<&contracts::Money>) -> Result<Money, Error> {
    Money::try_from(money.ok_or_else(|| Error::unreadable_event("an amount is missing"))?)
        .map_err(Error::unreadable_event)
}
