//! Opens the productions of counter orders, and starts waiting productions when stock arrives.

use contracts::{
    order::v1::{OrderEvent, OrderPlaced, order::Fulfillment, order_event::Kind},
    warehouse::v1::{StockItemEvent, stock_item_event},
};
use eventing::{EventEffect, Policy, decode, event_id};
use jumun_core::{Error, Time};

use crate::{
    domain::{Line, Production, State},
    stock_saga::StockSaga,
};

/// Applies the events of an order. The store context makes delivery orders.
pub(crate) fn on_order_event(stock_saga: StockSaga) -> Policy<Production> {
    std::sync::Arc::new(move |message| {
        let stock_saga = stock_saga.clone();
        Box::pin(async move {
            // No other event matters: an order is cancelled with consent of the kitchen, or by its events.
            if let Some(Kind::Placed(placed)) = decode::<OrderEvent>(&message)?.kind
                && let Some(production) = requested_production(placed, stock_saga.now())?
            {
                stock_saga.open(production).await?;
            }
            Ok(EventEffect::Ignore)
        })
    })
}

/// Applies the events of a stock item.
pub(crate) fn on_stock_event(stock_saga: StockSaga) -> Policy<Production> {
    use stock_item_event::Kind;
    std::sync::Arc::new(move |message| {
        let stock_saga = stock_saga.clone();
        Box::pin(async move {
            let event: StockItemEvent = decode(&message)?;
            match event.kind {
                Some(Kind::Created(_) | Kind::Restocked(_) | Kind::Released(_)) => {
                    stock_saga.start_waiting(&event.item).await?;
                }
                Some(Kind::Reduced(_)) | None => {}
            }
            Ok(EventEffect::Ignore)
        })
    })
}

fn requested_production(placed: OrderPlaced, now: Time) -> Result<Option<Production>, Error> {
    let id = event_id("orders", &placed.order)?.to_owned();
    let summary = placed.summary.ok_or_else(|| Error::unreadable_event(format!("{} has no summary", placed.order)))?;
    if summary.fulfillment != Fulfillment::Counter.as_str_name() {
        return Ok(None);
    }
    let mut lines: Vec<Line> = Vec::with_capacity(summary.items.len());
    for ordered in summary.items {
        // A production reserves each product once.
        match lines.iter_mut().find(|line| line.item == ordered.item) {
            Some(line) => line.quantity += i64::from(ordered.quantity),
            None => lines.push(Line { item: ordered.item, quantity: ordered.quantity.into() }),
        }
    }
    let production =
        Production { store: summary.store, lines, state: State::Taking, ..Production::tombstone(&id, now) };
    Ok(Some(production))
}
