//! Kitchen → warehouse: the protocol that takes each production's stock once, and leaves none with one that is not made.
//!
//! The outcome of a call to the warehouse can be unknown, and then it is never guessed: the production stays as it is
//! written down, and the recovery asks again, for the same, under the production's name. A production that is withdrawn
//! is written down so first; then everything that it took, or may be about to take, is given back, behind the warehouse's
//! tombstone.

use std::{sync::Arc, time::Duration};

use contracts::warehouse::v1::{
    ReduceStockRequest, ReleaseStockRequest, warehouse_service_client::WarehouseServiceClient,
};
use futures::{StreamExt, stream};
use kit::{Channel, Engine, Error, MAX_OUTGOING_CALL, Time, name::id_in, reason_of};
use tonic::{Code, Status};

use crate::{
    domain::{Line, Production, State, Word},
    reasons,
};

/// A production may wait for the warehouse's answer so long before it counts as abandoned: longer than a call takes.
const ABANDONED_AFTER: Duration = Duration::from_secs(5);
const _: () = assert!(ABANDONED_AFTER.as_millis() > 2 * MAX_OUTGOING_CALL.as_millis());
/// Productions that are read at once, and recovered in one round.
const MAX_PAGE: usize = 256;
/// Productions that give back at once.
const REPAID_AT_ONCE: usize = 16;

/// Brings productions to the warehouse.
#[derive(Clone)]
pub(crate) struct Starting {
    pub(crate) productions: Engine<Production>,
    pub(crate) stock: WarehouseServiceClient<Channel>,
}

impl Starting {
    pub(crate) fn now(&self) -> Time {
        self.productions.now()
    }

    /// Writes a production down, and tries to start it. Whatever comes of that, it is written down.
    pub(crate) async fn open(&self, opened: Production) -> Result<(), Error> {
        let rule = {
            let opened = opened.clone();
            move |existing: Option<&Production>| Production::open(existing, &opened)
        };
        let written = self.productions.execute(&opened.id, None, rule).await?.state;
        if let Some(production) = written.filter(|production| production.state == State::Taking)
            && let Err(error) = self.start_after_those_that_wait(&production).await
        {
            tracing::debug!(%error, production = production.id, "the recovery asks the warehouse again");
        }
        Ok(())
    }

    /// Whoever waits for the same may find it there by now, and was first.
    async fn start_after_those_that_wait(&self, production: &Production) -> Result<(), Error> {
        for line in &production.lines {
            while let Some(first) = self.waiting(&line.item, "", 1).await?.pop() {
                if self.start(&first).await?.is_waiting() {
                    break;
                }
            }
        }
        self.start(production).await.map(drop)
    }

    /// Starts what waits for a product, oldest first. One that needs more than there is does not hold up those behind it.
    pub(crate) async fn start_all_that_wait(&self, item: &str) -> Result<(), Error> {
        let mut after = String::new();
        loop {
            let page = self.waiting(item, &after, MAX_PAGE).await?;
            for production in &page {
                self.start(production).await?;
            }
            match page.last() {
                Some(last) if page.len() == MAX_PAGE => after.clone_from(&last.id),
                _ => return Ok(()),
            }
        }
    }

    /// Those that wait for a product, in the order of their orders.
    async fn waiting(&self, item: &str, after: &str, limit: usize) -> Result<Vec<Production>, Error> {
        let condition = "state = 'OUT_OF_STOCK' AND missing = ? AND id > ? ORDER BY id";
        self.productions.find(condition, vec![item.to_owned().into(), after.to_owned().into()], limit).await
    }

    /// Asks the warehouse, and starts the production or lets it wait. Once it is written down that it waits for
    /// something, the warehouse is asked again: what came in meanwhile has found nobody waiting.
    async fn start(&self, production: &Production) -> Result<Arc<Production>, Error> {
        let mut known = Arc::new(production.clone());
        loop {
            let word = self.take(&known).await.map_err(|status| unavailable(&known, &status))?;
            let next = self.follow(&known, word).await?;
            let waits_anew = next.state == State::OutOfStock && known.missing != next.missing;
            known = next;
            if !waits_anew {
                return Ok(known);
            }
        }
    }

    /// Takes everything that a production needs, as far as it is there; what it has already it takes once more in vain.
    async fn take(&self, production: &Production) -> Result<Word, Status> {
        for line in &production.lines {
            let Some(name) = stock_item(line) else { return Ok(Word::Missing(line.item.clone())) };
            let request = ReduceStockRequest {
                name,
                production: production.name(),
                quantity: line.quantity,
                request_id: String::new(),
            };
            if let Err(status) = self.stock.clone().reduce_stock(request).await {
                return match (status.code(), reason_of(&status).as_str()) {
                    (Code::NotFound, _) | (Code::FailedPrecondition, "NOT_ENOUGH_STOCK") => {
                        Ok(Word::Missing(line.item.clone()))
                    }
                    // Somebody gave back in its name, or took something else.
                    (Code::FailedPrecondition | Code::InvalidArgument, _) => Ok(Word::Never),
                    _ => Err(status),
                };
            }
        }
        Ok(Word::Taken)
    }

    async fn follow(&self, production: &Production, word: Word) -> Result<Arc<Production>, Error> {
        let now = self.now();
        let rule = move |production: &Production| production.follow(&word, now);
        existing(self.productions.command(&production.name(), None, rule).await?.state)
    }

    /// Gives back everything that a production took, or may be about to take.
    async fn give_back(&self, production: &Production) -> Result<(), Error> {
        for line in &production.lines {
            let Some(name) = stock_item(line) else { continue };
            let request = ReleaseStockRequest {
                name,
                production: production.name(),
                quantity: line.quantity,
                request_id: String::new(),
            };
            match self.stock.clone().release_stock(request).await {
                Ok(_) => {}
                // There is no such product; should there ever be, it is not taken of it.
                Err(status) if status.code() == Code::NotFound => {}
                Err(status) => return Err(unavailable(production, &status)),
            }
        }
        self.productions.command(&production.name(), None, Production::repay).await.map(drop)
    }

    /// Has those give back that owe, then brings every production on that waits for the warehouse's word longer than a
    /// call takes, oldest first. A failure ends the round: the warehouse is away.
    pub(crate) async fn recover(&self) -> Result<(), Error> {
        let owing = self.productions.find("owes = 1 ORDER BY id", Vec::new(), MAX_PAGE).await?;
        // What has begun is finished: a circuit that lets a few calls through, to see, waits for their answers.
        let giving_back = stream::iter(owing).map(async |production| self.give_back(&production).await);
        let failure = giving_back.buffer_unordered(REPAID_AT_ONCE).fold(Ok(()), async |first, next| first.and(next));
        failure.await?;
        let before = self.now() - ABANDONED_AFTER;
        let condition = "state = 'TAKING' AND update_time < ? ORDER BY id";
        for production in self.productions.find(condition, vec![before.0.into()], MAX_PAGE).await? {
            self.start(&production).await?;
        }
        Ok(())
    }
}

/// What the warehouse calls a product; None: it cannot have such a one.
fn stock_item(line: &Line) -> Option<String> {
    id_in("items", &line.item).ok().map(|id| format!("stockItems/{id}"))
}

fn existing(production: Option<Arc<Production>>) -> Result<Arc<Production>, Error> {
    production.ok_or_else(|| Error::internal("a production was decided upon and is not there"))
}

fn unavailable(production: &Production, status: &Status) -> Error {
    tracing::debug!(production = production.id, %status, "no word from the warehouse");
    Error::new(&reasons::WAREHOUSE_UNAVAILABLE, format!("the warehouse did not answer about {}", production.name()))
}
