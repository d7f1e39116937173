//! The rules of a production. Pure: no database, no network, no clock.

#[cfg(test)]
mod tests;

use contracts::kitchen::v1::{self as pb, production_event::Kind};
use engine::{Aggregate, Decision, StateName};
use jumun_core::{Error, Reason, Time};
use serde::{Deserialize, Serialize};

use crate::reasons;

engine::states! {
    /// The state of a production; the diagram is at the top of the crate. TAKING: its stock is being reserved.
    pub enum State: pb::production::State {
        Taking,
        OutOfStock,
        Started,
        Completed,
        Cancelled,
        Failed,
    }
}

/// One product of a production.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The product, `items/{id}`.
    pub item: String,
    /// How many.
    pub quantity: i64,
}

/// What the warehouse is known to have answered about a production's stock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All of it is reserved.
    Reserved,
    /// There is not enough of this product; the lines before it are reserved.
    Missing(String),
    /// The warehouse will never reserve it.
    Refused,
}

/// The production of one counter order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Production {
    /// The id of the order.
    pub id: String,
    pub store: String,
    /// Each product once; empty on a tombstone.
    pub lines: Vec<Line>,
    pub state: State,
    /// The product that it waits for while it is OUT_OF_STOCK.
    pub missing: String,
    /// Whether it ended without using its stock, and the warehouse has not confirmed the release.
    pub release_pending: bool,
    pub create_time: Time,
    pub update_time: Time,
}

impl Production {
    /// `productions/{id}`.
    pub fn name(&self) -> String {
        format!("productions/{}", self.id)
    }

    /// `orders/{id}`.
    pub fn order(&self) -> String {
        format!("orders/{}", self.id)
    }

    /// A production that was cancelled before its order reached the kitchen: it never starts.
    pub(crate) fn tombstone(id: &str, now: Time) -> Production {
        Production {
            id: id.to_owned(),
            store: String::new(),
            lines: Vec::new(),
            state: State::Cancelled,
            missing: String::new(),
            release_pending: false,
            create_time: now,
            update_time: now,
        }
    }

    /// Opens the production of a placed order. A repeated event changes nothing.
    pub(crate) fn open(existing: Option<&Production>, opened: &Production) -> Result<Decision<Production>, Error> {
        match existing {
            None => Decision::announce(opened.clone(), opened.event(Kind::Opened(pb::ProductionOpened {}))),
            Some(_) => Ok(Decision::Leave),
        }
    }

    /// Applies an answer of the warehouse. It changes nothing when the production does not wait any more.
    pub(crate) fn apply_outcome(&self, outcome: &Outcome, now: Time) -> Result<Decision<Production>, Error> {
        if !self.is_waiting() {
            return Ok(Decision::Leave);
        }
        match outcome {
            Outcome::Reserved => self.transition(State::Started, Kind::Started(pb::ProductionStarted {}), now),
            Outcome::Missing(item) if self.state == State::OutOfStock && self.missing == *item => Ok(Decision::Leave),
            Outcome::Missing(item) => {
                let kind = Kind::OutOfStock(pb::ProductionOutOfStock { item: item.clone() });
                let waiting =
                    Production { state: State::OutOfStock, missing: item.clone(), update_time: now, ..self.clone() };
                Decision::announce(waiting, self.event(kind))
            }
            Outcome::Refused => self.end_and_release(State::Failed, Kind::Failed(pb::ProductionFailed {}), now),
        }
    }

    /// Cancels it for the customer: allowed until it starts. Repeated, it changes nothing.
    pub(crate) fn cancel(&self, now: Time) -> Result<Decision<Production>, Error> {
        match self.state {
            State::Taking | State::OutOfStock => {
                self.end_and_release(State::Cancelled, Kind::Cancelled(pb::ProductionCancelled {}), now)
            }
            State::Cancelled => Ok(Decision::Leave),
            _ => Err(self.refusal(&reasons::PRODUCTION_NOT_CANCELLABLE, "can no longer be cancelled")),
        }
    }

    /// Cancels it, or leaves a tombstone when its order has not reached the kitchen yet.
    pub(crate) fn cancel_or_leave_tombstone(
        existing: Option<&Production>,
        tombstone: &Production,
        now: Time,
    ) -> Result<Decision<Production>, Error> {
        match existing {
            Some(production) => production.cancel(now),
            None => {
                let kind = Kind::Cancelled(pb::ProductionCancelled {});
                Decision::announce(tombstone.clone(), tombstone.event(kind))
            }
        }
    }

    /// The kitchen has made it.
    pub(crate) fn complete(&self, now: Time) -> Result<Decision<Production>, Error> {
        match self.state {
            State::Started => self.transition(State::Completed, Kind::Completed(pb::ProductionCompleted {}), now),
            _ => Err(self.refusal(&reasons::PRODUCTION_NOT_STARTED, "is not being made")),
        }
    }

    /// The kitchen cannot make it.
    pub(crate) fn fail(&self, now: Time) -> Result<Decision<Production>, Error> {
        match self.state {
            State::Taking | State::OutOfStock | State::Started => {
                self.end_and_release(State::Failed, Kind::Failed(pb::ProductionFailed {}), now)
            }
            _ => Err(self.refusal(&reasons::PRODUCTION_ENDED, "has ended")),
        }
    }

    /// The warehouse has released its stock.
    pub(crate) fn confirm_release(&self) -> Result<Decision<Production>, Error> {
        if self.release_pending {
            Decision::save(Production { release_pending: false, ..self.clone() })
        } else {
            Ok(Decision::Leave)
        }
    }

    /// Whether it waits for its stock.
    pub(crate) fn is_waiting(&self) -> bool {
        matches!(self.state, State::Taking | State::OutOfStock)
    }

    fn refusal(&self, reason: &'static Reason, why: &str) -> Error {
        let message = format!("{} is {} and {why}", self.name(), self.state.name());
        Error::new(reason, message).with("state", self.state.name())
    }

    /// It may have reserved stock, or be about to, so the release is pending either way.
    fn end_and_release(&self, state: State, kind: Kind, now: Time) -> Result<Decision<Production>, Error> {
        Production { release_pending: true, ..self.clone() }.transition(state, kind, now)
    }

    fn transition(&self, state: State, kind: Kind, now: Time) -> Result<Decision<Production>, Error> {
        let production = Production { state, missing: String::new(), update_time: now, ..self.clone() };
        Decision::announce(production, self.event(kind))
    }

    fn event(&self, kind: Kind) -> pb::ProductionEvent {
        pb::ProductionEvent { order: self.order(), kind: Some(kind) }
    }
}

impl Aggregate for Production {
    type Event = pb::ProductionEvent;
    type Resource = pb::Production;

    fn id(&self) -> &str {
        &self.id
    }

    fn resource(&self) -> pb::Production {
        let line = |line: &Line| pb::production::Line { item: line.item.clone(), quantity: line.quantity };
        let first = self.lines.first();
        pb::Production {
            name: self.name(),
            order: self.order(),
            item: first.map(|line| line.item.clone()).unwrap_or_default(),
            quantity: first.map(|line| line.quantity).unwrap_or_default(),
            state: self.state.into(),
            lines: self.lines.iter().map(line).collect(),
            missing: self.missing.clone(),
            store: self.store.clone(),
            create_time: Some(self.create_time.to_timestamp()),
            update_time: Some(self.update_time.to_timestamp()),
        }
    }
}
