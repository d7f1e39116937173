//! The rules of an enrollment. Pure: no database, no network, no clock.

#[cfg(test)]
mod tests;

use contracts::enrollment::v1::{self as pb, enrollment_event::Kind};
use engine::{Aggregate, Decision, StateName};
use jumun_core::{Error, Money, Reason, Time};
use payment_saga::{Payable, PaymentStatus};

use crate::reasons;

/// The `state_reason` of a CANCELLED enrollment; that of a REJECTED enrollment comes from payment.
pub(crate) mod reason {
    /// Cancelled by the learner.
    pub(crate) const CANCELLED_BY_LEARNER: &str = "CANCELLED_BY_LEARNER";
    /// The school cancelled the registration.
    pub(crate) const REGISTRATION_CANCELLED: &str = "REGISTRATION_CANCELLED";
}

engine::states! {
    /// The state of an enrollment; the diagram is at the top of the crate.
    pub enum State: pb::enrollment::State {
        Pending,
        Voiding,
        Rejected,
        Enrolled,
        Completed,
        Cancelled,
    }
}

/// The enrollment of a learner in a course.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Enrollment {
    pub id: String,
    pub learner: String,
    pub course: String,
    pub course_title: String,
    pub fee: Money,
    pub payment_method: String,
    pub state: State,
    pub state_reason: String,
    pub payment: String,
    pub create_time: Time,
    /// When it became ENROLLED; its state may have advanced since.
    pub enrolled_time: Option<Time>,
    pub update_time: Time,
}

impl Enrollment {
    /// Cancels it for the learner: allowed until the course is completed. Repeated, it changes nothing.
    pub(crate) fn cancel(&self, now: Time) -> Result<Decision<Enrollment>, Error> {
        match self.state {
            State::Enrolled => self.cancel_because(reason::CANCELLED_BY_LEARNER, now),
            State::Cancelled => Ok(Decision::Leave),
            State::Pending | State::Voiding => {
                Err(Error::new(&reasons::ENROLLMENT_PENDING, format!("{} is not paid yet", self.name())))
            }
            state @ (State::Rejected | State::Completed) => Err(Error::new(
                &reasons::ENROLLMENT_NOT_CANCELLABLE,
                format!("{} is {} and cannot be cancelled", self.name(), state.name()),
            )
            .with("state", state.name())),
        }
    }

    /// Cancels it because the school cancelled its registration. An enrollment that was cancelled before keeps its
    /// reason.
    pub(crate) fn cancel_by_school(&self, now: Time) -> Result<Decision<Enrollment>, Error> {
        match self.state {
            State::Enrolled => self.cancel_because(reason::REGISTRATION_CANCELLED, now),
            _ => Ok(Decision::Leave),
        }
    }

    /// The learner completed the course, so the fee is earned. An enrollment that was cancelled before stays cancelled;
    /// its event cancels the registration.
    pub(crate) fn complete(&self, now: Time) -> Result<Decision<Enrollment>, Error> {
        if self.state != State::Enrolled {
            return Ok(Decision::Leave);
        }
        let payload = pb::EnrollmentCompleted { enrollment: self.name() };
        Decision::announce(self.with_state(State::Completed, "", now), event(Kind::Completed(payload)))
    }

    fn cancel_because(&self, reason: &str, now: Time) -> Result<Decision<Enrollment>, Error> {
        let payload = pb::EnrollmentCancelled { enrollment: self.name(), reason: reason.to_owned() };
        Decision::announce(self.with_state(State::Cancelled, reason, now), event(Kind::Cancelled(payload)))
    }

    fn with_state(&self, state: State, reason: &str, now: Time) -> Enrollment {
        Enrollment { state, state_reason: reason.to_owned(), update_time: now, ..self.clone() }
    }

    fn summary(&self) -> pb::EnrollmentSummary {
        pb::EnrollmentSummary {
            learner: self.learner.clone(),
            course: self.course.clone(),
            course_title: self.course_title.clone(),
            fee: Some(self.fee.into()),
        }
    }
}

impl Payable for Enrollment {
    const KIND: &'static str = "enrollment";
    const UNCONFIRMED: &'static Reason = &reasons::ENROLLMENT_NOT_MADE;

    fn name(&self) -> String {
        format!("enrollments/{}", self.id)
    }

    fn amount(&self) -> Money {
        self.fee
    }

    fn payment_method(&self) -> &str {
        &self.payment_method
    }

    fn payment_status(&self) -> PaymentStatus<'_> {
        match self.state {
            State::Pending => PaymentStatus::Pending,
            State::Voiding => PaymentStatus::Voiding,
            State::Rejected => PaymentStatus::Rejected(&self.state_reason),
            State::Enrolled | State::Completed | State::Cancelled => PaymentStatus::Confirmed,
        }
    }

    fn as_confirmed(&self) -> Option<Enrollment> {
        let enrolled_time = self.enrolled_time?;
        Some(Enrollment {
            state: State::Enrolled,
            state_reason: String::new(),
            update_time: enrolled_time,
            ..self.clone()
        })
    }

    fn confirm(&self, payment: &str, now: Time) -> Result<Decision<Enrollment>, Error> {
        if self.state != State::Pending {
            return Ok(Decision::Leave);
        }
        let enrolled = Enrollment {
            state: State::Enrolled,
            payment: payment.to_owned(),
            enrolled_time: Some(now),
            update_time: now,
            ..self.clone()
        };
        let payload =
            pb::LearnerEnrolled { enrollment: self.name(), payment: payment.to_owned(), summary: Some(self.summary()) };
        Decision::announce(enrolled, event(Kind::Enrolled(payload)))
    }

    fn start_voiding(&self, now: Time) -> Result<Decision<Enrollment>, Error> {
        match self.state {
            State::Pending => Decision::save(Enrollment { state: State::Voiding, update_time: now, ..self.clone() }),
            _ => Ok(Decision::Leave),
        }
    }

    fn reject(&self, reason: &str, now: Time) -> Result<Decision<Enrollment>, Error> {
        if !matches!(self.state, State::Pending | State::Voiding) {
            return Ok(Decision::Leave);
        }
        let payload = pb::EnrollmentRejected {
            enrollment: self.name(),
            reason: reason.to_owned(),
            summary: Some(self.summary()),
        };
        Decision::announce(self.with_state(State::Rejected, reason, now), event(Kind::Rejected(payload)))
    }
}

impl Aggregate for Enrollment {
    type Event = pb::EnrollmentEvent;
    type Resource = pb::Enrollment;

    fn id(&self) -> &str {
        &self.id
    }

    fn resource(&self) -> pb::Enrollment {
        pb::Enrollment {
            name: self.name(),
            uid: self.id.clone(),
            learner: self.learner.clone(),
            course: self.course.clone(),
            course_title: self.course_title.clone(),
            fee: Some(self.fee.into()),
            payment_method: self.payment_method.clone(),
            state: self.state.into(),
            state_reason: self.state_reason.clone(),
            payment: self.payment.clone(),
            create_time: Some(self.create_time.to_timestamp()),
            update_time: Some(self.update_time.to_timestamp()),
        }
    }
}

fn event(kind: Kind) -> pb::EnrollmentEvent {
    pb::EnrollmentEvent { kind: Some(kind) }
}
