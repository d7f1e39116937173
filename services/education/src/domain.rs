//! The rules of a registration. Pure: no database, no network, no clock.

#[cfg(test)]
mod tests;

use contracts::education::v1::{self as pb, registration_event::Kind};
use engine::{Aggregate, Decision, StateName};
use jumun_core::{Error, Time};

use crate::reasons;

engine::states! {
    /// Where a registration stands; the diagram is at the top of the crate.
    pub enum State: pb::registration::State {
        Registered,
        Completed,
        Cancelled,
    }
}

/// That a learner takes a course.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Registration {
    /// The enrollment's, too.
    pub id: String,
    pub learner: String,
    pub course: String,
    pub state: State,
    pub create_time: Time,
    pub update_time: Time,
}

impl Registration {
    /// `registrations/{id}`.
    pub fn name(&self) -> String {
        format!("registrations/{}", self.id)
    }

    /// A learner enrolled. The school may be told again; it registers once.
    pub(crate) fn open(
        existing: Option<&Registration>,
        opened: &Registration,
    ) -> Result<Decision<Registration>, Error> {
        match existing {
            None => Decision::announce(opened.clone(), opened.event(Kind::Registered(pb::LearnerRegistered {}))),
            Some(_) => Ok(Decision::Leave),
        }
    }

    /// The learner completed the course; said again, it is left as it is.
    pub(crate) fn complete(&self, now: Time) -> Result<Decision<Registration>, Error> {
        match self.state {
            State::Registered => self.turn(State::Completed, Kind::Completed(pb::CourseCompleted {}), now),
            State::Completed => Ok(Decision::Leave),
            State::Cancelled => {
                Err(Error::new(&reasons::REGISTRATION_NOT_ACTIVE, format!("{} is CANCELLED", self.name()))
                    .with("state", self.state.name()))
            }
        }
    }

    /// The school withdraws it: not once the course is completed.
    pub(crate) fn cancel(&self, now: Time) -> Result<Decision<Registration>, Error> {
        match self.state {
            State::Registered | State::Cancelled => self.cancel_by_enrollment(now),
            State::Completed => Err(Error::new(
                &reasons::REGISTRATION_COMPLETED,
                format!("{} is COMPLETED and can no longer be cancelled", self.name()),
            )
            .with("state", self.state.name())),
        }
    }

    /// The enrollment was cancelled, and decides: it let the learner go because it had not heard of any completion, and
    /// the refund is on its way. A course that was completed a moment before counts for nothing.
    pub(crate) fn cancel_by_enrollment(&self, now: Time) -> Result<Decision<Registration>, Error> {
        match self.state {
            State::Cancelled => Ok(Decision::Leave),
            State::Registered | State::Completed => {
                self.turn(State::Cancelled, Kind::Cancelled(pb::RegistrationCancelled {}), now)
            }
        }
    }

    fn turn(&self, state: State, kind: Kind, now: Time) -> Result<Decision<Registration>, Error> {
        Decision::announce(Registration { state, update_time: now, ..self.clone() }, self.event(kind))
    }

    fn event(&self, kind: Kind) -> pb::RegistrationEvent {
        pb::RegistrationEvent { enrollment: self.enrollment(), kind: Some(kind) }
    }

    fn enrollment(&self) -> String {
        format!("enrollments/{}", self.id)
    }
}

impl Aggregate for Registration {
    type Event = pb::RegistrationEvent;
    type Resource = pb::Registration;

    fn id(&self) -> &str {
        &self.id
    }

    fn resource(&self) -> pb::Registration {
        pb::Registration {
            name: self.name(),
            enrollment: self.enrollment(),
            learner: self.learner.clone(),
            course: self.course.clone(),
            state: self.state.into(),
            create_time: Some(self.create_time.to_timestamp()),
            update_time: Some(self.update_time.to_timestamp()),
        }
    }
}
