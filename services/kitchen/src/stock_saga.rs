//! Kitchen → warehouse: each production reserves its stock once, and none keeps stock that it does not use.
//!
//! The recovery requests the same stock again, under the production's name. A production that is cancelled or fails is
//! recorded as such first; then everything that it reserved, or may be about to reserve, is released, behind the
//! warehouse's tombstone.

use std::sync::Arc;

use contracts::warehouse::v1::{
    ReduceStockRequest, ReleaseStockRequest, warehouse_service_client::WarehouseServiceClient,
};
use engine::{Decision, Engine, Query, StateName};
use jumun_core::{Error, Time, name::id_in, reason_of};
use rpc::Channel;
use saga::{ABANDONED_AFTER, Call, Saga, SagaRunner, round};
use tonic::{Code, Status};

use crate::{
    domain::{Line, Outcome, Production, State},
    reasons,
};

/// Productions that are read at once, and recovered in one round.
const MAX_PAGE: usize = 256;
/// Productions that release their stock at once.
const RELEASED_AT_ONCE: usize = 16;

/// Runs the stock reservations of productions.
#[derive(Clone)]
pub(crate) struct StockSaga(SagaRunner<Stock>);

/// The stock of a production, over the channel to the warehouse.
#[derive(Clone)]
pub(crate) struct Stock {
    warehouse: WarehouseServiceClient<Channel>,
}

impl Saga for Stock {
    type Aggregate = Production;
    type Outcome = Outcome;
    /// The product that is missing; empty until the warehouse has answered. When another product is missing, the
    /// warehouse is asked once more: a restock in between has found no production that waits for it.
    type Step = String;

    const MAX_RECOVERED: usize = MAX_PAGE;
    /// One at a time, so that the oldest is first.
    const RECOVERED_AT_ONCE: usize = 1;

    fn step(production: &Production) -> Option<String> {
        production.is_waiting().then(|| production.missing.clone())
    }

    /// Reserves everything that a production needs, up to the first missing product. A repeated reservation changes
    /// nothing.
    async fn ask(&self, production: &Production) -> Result<Outcome, Error> {
        for line in &production.lines {
            let Some(name) = stock_item(line) else { return Ok(Outcome::Missing(line.item.clone())) };
            let request = ReduceStockRequest {
                name,
                production: production.name(),
                quantity: line.quantity,
                request_id: String::new(),
            };
            if let Err(status) = self.warehouse.clone().reduce_stock(request).await {
                return match (status.code(), reason_of(&status).as_str()) {
                    (Code::NotFound, _) | (Code::FailedPrecondition, "NOT_ENOUGH_STOCK") => {
                        Ok(Outcome::Missing(line.item.clone()))
                    }
                    // Its stock was released already, or another quantity was reserved under its name.
                    (Code::FailedPrecondition | Code::InvalidArgument, _) => Ok(Outcome::Refused),
                    _ => Err(unavailable(production, &status)),
                };
            }
        }
        Ok(Outcome::Reserved)
    }

    fn apply(production: &Production, outcome: &Outcome, now: Time) -> Result<Decision<Production>, Error> {
        production.apply_outcome(outcome, now)
    }

    fn unsettled(now: Time) -> Query {
        let unanswered = Query::new().is("state", State::Taking.name());
        unanswered.before("update_time", now - ABANDONED_AFTER).order_by("id")
    }
}

impl Stock {
    /// Releases everything that a production reserved, or may be about to reserve.
    async fn release(&self, production: &Production) -> Result<(), Error> {
        for line in &production.lines {
            let Some(name) = stock_item(line) else { continue };
            let request = ReleaseStockRequest {
                name,
                production: production.name(),
                quantity: line.quantity,
                request_id: String::new(),
            };
            match self.warehouse.clone().release_stock(request).await {
                Ok(_) => {}
                // There is no such product; should it be created, the tombstone rejects the reservation.
                Err(status) if status.code() == Code::NotFound => {}
                Err(status) => return Err(unavailable(production, &status)),
            }
        }
        Ok(())
    }
}

impl StockSaga {
    pub(crate) fn new(productions: &Engine<Production>, warehouse: WarehouseServiceClient<Channel>) -> Self {
        Self(SagaRunner::new(productions, Stock { warehouse }))
    }

    pub(crate) fn now(&self) -> Time {
        self.0.engine().now()
    }

    /// Records a production, and tries to start it. The result is Ok as soon as it is recorded.
    pub(crate) async fn open(&self, opened: Production) -> Result<(), Error> {
        let id = opened.id.clone();
        let production = self.0.record(&id, None, move |existing| Production::open(existing, &opened)).await?;
        if production.state == State::Taking
            && let Err(error) = self.start_in_order(production).await
        {
            tracing::debug!(%error, production = id, "the recovery calls the warehouse again");
        }
        Ok(())
    }

    /// Starts it after the older productions that wait for the same products.
    async fn start_in_order(&self, production: Arc<Production>) -> Result<(), Error> {
        for line in &production.lines {
            while let Some(first) = self.find_waiting(&line.item, "", 1).await?.pop() {
                if self.start(first).await?.is_waiting() {
                    break;
                }
            }
        }
        self.0.advance(production, Call::Ask).await.map(drop)
    }

    /// Starts the productions that wait for a product, oldest first. One that needs more than there is does not block
    /// those behind it.
    pub(crate) async fn start_waiting(&self, item: &str) -> Result<(), Error> {
        let mut after = String::new();
        loop {
            let page = self.find_waiting(item, &after, MAX_PAGE).await?;
            let is_last = page.len() < MAX_PAGE;
            for production in page {
                after.clone_from(&production.id);
                self.start(production).await?;
            }
            if is_last {
                return Ok(());
            }
        }
    }

    /// The productions that wait for a product, in the order of their orders.
    async fn find_waiting(&self, item: &str, after: &str, limit: usize) -> Result<Vec<Production>, Error> {
        let out_of_stock = Query::new().is("state", State::OutOfStock.name()).equals("missing", item.to_owned());
        self.0.engine().find(out_of_stock.after_id(after).order_by("id"), limit).await
    }

    /// Calls the warehouse, and starts the production or lets it wait.
    async fn start(&self, production: Production) -> Result<Arc<Production>, Error> {
        self.0.advance(Arc::new(production), Call::Ask).await
    }

    /// Releases the stock of productions that ended without using it, then resolves those without an answer.
    pub(crate) async fn recover(&self) -> Result<(), Error> {
        let releasing = self.0.engine().find(Query::new().is_set("owes").order_by("id"), MAX_PAGE).await?;
        round(releasing, RELEASED_AT_ONCE, async |production| self.release(&production).await).await?;
        self.0.recover().await
    }

    async fn release(&self, production: &Production) -> Result<(), Error> {
        self.0.saga().release(production).await?;
        self.0.decide(production, |production, _| production.confirm_release()).await.map(drop)
    }
}

/// The name of the stock item of a product; None when the product has no valid name.
fn stock_item(line: &Line) -> Option<String> {
    id_in("items", &line.item).ok().map(|id| format!("stockItems/{id}"))
}

fn unavailable(production: &Production, status: &Status) -> Error {
    tracing::debug!(production = production.id, %status, "no answer from the warehouse");
    Error::new(&reasons::WAREHOUSE_UNAVAILABLE, format!("the warehouse did not answer about {}", production.name()))
}
