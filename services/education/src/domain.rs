//! The rules of a registration. Pure: no database, no network, no clock.

#[cfg(test)]
mod tests;

use contracts::education::v1::{self as pb, registration_event::Kind};
use engine::{Aggregate, Decision, StateName};
use jumun_core::{Error, Time};

use crate::reasons;

engine::states! {
    /// The state of a registration; the diagram is at the top of the crate.
    pub enum State: pb::registration::State {
        Registered,
        Completed,
        Cancelled,
    }
}

/// The registration of a learner for a course.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Registration {
    /// The id of the enrollment.
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

    /// Registers the learner of a paid enrollment. A repeated event changes nothing.
    pub(crate) fn register(
        existing: Option<&Registration>,
        registered: &Registration,
    ) -> Result<Decision<Registration>, Error> {
        match existing {
            None => {
                Decision::announce(registered.clone(), registered.event(Kind::Registered(pb::LearnerRegistered {})))
            }
            Some(_) => Ok(Decision::Leave),
        }
    }

    /// The learner completed the course. Repeated, it changes nothing.
    pub(crate) fn complete(&self, now: Time) -> Result<Decision<Registration>, Error> {
        match self.state {
            State::Registered => self.transition(State::Completed, Kind::Completed(pb::CourseCompleted {}), now),
            State::Completed => Ok(Decision::Leave),
            State::Cancelled => {
                Err(Error::new(&reasons::REGISTRATION_NOT_ACTIVE, format!("{} is CANCELLED", self.name()))
                    .with("state", self.state.name()))
            }
        }
    }

    /// Cancels it for the school: allowed until the course is completed. Repeated, it changes nothing.
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

    /// Cancels it because the enrollment was cancelled. The enrollment decides: it was cancelled before it received an
    /// event about completion, and its payment is being refunded. So a registration that was completed in the meantime
    /// is cancelled, too.
    pub(crate) fn cancel_by_enrollment(&self, now: Time) -> Result<Decision<Registration>, Error> {
        match self.state {
            State::Cancelled => Ok(Decision::Leave),
            State::Registered | State::Completed => {
                self.transition(State::Cancelled, Kind::Cancelled(pb::RegistrationCancelled {}), now)
            }
        }
    }

    fn transition(&self, state: State, kind: Kind, now: Time) -> Result<Decision<Registration>, Error> {
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
