//! The rules of a production. Pure: no database, no network, no clock.

#[cfg(test)]
mod tests;

use contracts::kitchen::v1::{self as pb, production_event::Kind};
use engine::{Aggregate, Decision, StateName};
use jumun_core::{Error, Reason, Time};
use serde::{Deserialize, Serialize};

use crate::reasons;

engine::states! {
    /// Where a production stands; the diagram is at the top of the crate.
    pub enum State: pb::production::State {
        Taking,
        OutOfStock,
        Started,
        Completed,
        Cancelled,
        Failed,
    }
}

/// One product that is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// What.
    pub item: String,
    /// How many.
    pub quantity: i64,
}

/// What the warehouse is known to have answered about everything that a production needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is all taken.
    Taken,
    /// There is not enough of this; what comes before it is taken.
    Missing(String),
    /// It can never have it.
    Never,
}

/// What a kitchen produces for one order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Production {
    /// The order's, too.
    pub id: String,
    pub store: String,
    /// Each product once; none, when it was cancelled before it was opened.
    pub lines: Vec<Line>,
    pub state: State,
    /// What it waits for while it is OUT_OF_STOCK.
    pub missing: String,
    /// Whether it ended without using what it took, and the warehouse has not been told.
    pub owes: bool,
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

    /// What it is when it was cancelled before the order reached the kitchen: then it never starts.
    pub(crate) fn tombstone(id: &str, now: Time) -> Production {
        Production {
            id: id.to_owned(),
            store: String::new(),
            lines: Vec::new(),
            state: State::Cancelled,
            missing: String::new(),
            owes: false,
            create_time: now,
            update_time: now,
        }
    }

    /// An order reached the kitchen. It may be told again; the production is opened once.
    pub(crate) fn open(existing: Option<&Production>, opened: &Production) -> Result<Decision<Production>, Error> {
        match existing {
            None => Decision::announce(opened.clone(), opened.event(Kind::Opened(pb::ProductionOpened {}))),
            Some(_) => Ok(Decision::Leave),
        }
    }

    /// What the warehouse's answer means for it. One that was withdrawn meanwhile stays so, and gives back what it took.
    pub(crate) fn follow(&self, outcome: &Outcome, now: Time) -> Result<Decision<Production>, Error> {
        if !self.is_waiting() {
            return Ok(Decision::Leave);
        }
        match outcome {
            Outcome::Taken => self.turn(State::Started, Kind::Started(pb::ProductionStarted {}), now),
            Outcome::Missing(item) if self.state == State::OutOfStock && self.missing == *item => Ok(Decision::Leave),
            Outcome::Missing(item) => {
                let happened = Kind::OutOfStock(pb::ProductionOutOfStock { item: item.clone() });
                let waiting =
                    Production { state: State::OutOfStock, missing: item.clone(), update_time: now, ..self.clone() };
                Decision::announce(waiting, self.event(happened))
            }
            Outcome::Never => self.give_up(State::Failed, Kind::Failed(pb::ProductionFailed {}), now),
        }
    }

    /// The customer does not want it any more: allowed until it starts, and again when it is withdrawn already.
    pub(crate) fn cancel(&self, now: Time) -> Result<Decision<Production>, Error> {
        match self.state {
            State::Taking | State::OutOfStock => {
                self.give_up(State::Cancelled, Kind::Cancelled(pb::ProductionCancelled {}), now)
            }
            State::Cancelled => Ok(Decision::Leave),
            _ => Err(self.refused(&reasons::PRODUCTION_NOT_CANCELLABLE, "can no longer be cancelled")),
        }
    }

    /// The same, by somebody who knows of the order before the kitchen does.
    pub(crate) fn cancel_or_forbid(
        existing: Option<&Production>,
        tombstone: &Production,
        now: Time,
    ) -> Result<Decision<Production>, Error> {
        match existing {
            Some(production) => production.cancel(now),
            None => {
                let happened = Kind::Cancelled(pb::ProductionCancelled {});
                Decision::announce(tombstone.clone(), tombstone.event(happened))
            }
        }
    }

    /// It is made.
    pub(crate) fn complete(&self, now: Time) -> Result<Decision<Production>, Error> {
        match self.state {
            State::Started => self.turn(State::Completed, Kind::Completed(pb::ProductionCompleted {}), now),
            _ => Err(self.refused(&reasons::PRODUCTION_NOT_STARTED, "is not being made")),
        }
    }

    /// The kitchen cannot make it.
    pub(crate) fn fail(&self, now: Time) -> Result<Decision<Production>, Error> {
        match self.state {
            State::Taking | State::OutOfStock | State::Started => {
                self.give_up(State::Failed, Kind::Failed(pb::ProductionFailed {}), now)
            }
            _ => Err(self.refused(&reasons::PRODUCTION_ENDED, "has come to its end")),
        }
    }

    /// The warehouse has back what it took.
    pub(crate) fn repay(&self) -> Result<Decision<Production>, Error> {
        if self.owes { Decision::save(Production { owes: false, ..self.clone() }) } else { Ok(Decision::Leave) }
    }

    /// Whether it is still to be started.
    pub(crate) fn is_waiting(&self) -> bool {
        matches!(self.state, State::Taking | State::OutOfStock)
    }

    fn refused(&self, reason: &'static Reason, why: &str) -> Error {
        let message = format!("{} is {} and {why}", self.name(), self.state.name());
        Error::new(reason, message).with("state", self.state.name())
    }

    /// It may have taken something, or be about to: the warehouse is told either way.
    fn give_up(&self, state: State, kind: Kind, now: Time) -> Result<Decision<Production>, Error> {
        Production { owes: true, ..self.clone() }.turn(state, kind, now)
    }

    fn turn(&self, state: State, kind: Kind, now: Time) -> Result<Decision<Production>, Error> {
        let turned = Production { state, missing: String::new(), update_time: now, ..self.clone() };
        Decision::announce(turned, self.event(kind))
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
