//! The rules of an enrollment's view. Pure: no database, no network, no clock.

#[cfg(test)]
mod tests;

use contracts::{
    dashboard::v1 as pb,
    education::v1::{RegistrationEvent, registration_event},
    enrollment::v1::{EnrollmentEvent, EnrollmentSummary, enrollment_event},
};
use engine::{Aggregate, StateName};
use eventing::{decode, event_id};
use jumun_core::{Envelope, Error, Money, Time};
use serde::{Deserialize, Serialize};

use crate::{
    event::{read_money, read_payment_event},
    history::{self, Entry, Source},
    view::{View, ViewUpdate},
};

engine::states! {
    /// The state of an enrollment, by the names of `jumun.enrollment.v1.Enrollment.State`. A later one outweighs those
    /// before it.
    #[derive(PartialOrd, Ord, Serialize, Deserialize)]
    #[serde(rename_all = "SCREAMING_SNAKE_CASE")]
    pub enum EnrollmentState: contracts::enrollment::v1::enrollment::State, without Pending, Voiding {
        Enrolled,
        Completed,
        // An end outweighs any progress: the course may have been completed before the cancellation reached the school.
        Rejected,
        Cancelled,
    }
}

/// The view of one enrollment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct EnrollmentView {
    /// The id of the enrollment.
    pub id: String,
    pub learner: String,
    pub course: String,
    pub course_title: String,
    /// None, with the three above empty, until an event of the enrollment itself arrives.
    pub fee: Option<Money>,
    /// None until an event of the enrollment itself arrives.
    pub state: Option<EnrollmentState>,
    /// By the names of `jumun.payment.v1.Payment.State`; empty until an event of the payment arrives.
    pub payment_state: String,
    /// By the names of `jumun.education.v1.Registration.State`; empty until the learner is registered.
    pub registration_state: String,
    /// At most [`crate::MAX_HISTORY`] entries, sorted.
    pub history: Vec<Entry<EnrollmentState>>,
    /// When the learner was enrolled or rejected; until that is known, the time of the first event.
    pub create_time: Time,
    pub update_time: Time,
}

/// The summary of an enrollment.
pub struct Application {
    learner: String,
    course: String,
    course_title: String,
    fee: Money,
}

impl View for EnrollmentView {
    const SOURCES: &'static [&'static str] = &["payment", "enrollment", "education"];
    type State = EnrollmentState;
    type Summary = Application;

    fn read(message: &Envelope) -> Result<Option<ViewUpdate<Self>>, Error> {
        match message.context.as_str() {
            "payment" => read_payment_event(message, "enrollments"),
            "enrollment" => read_enrollment_event(message),
            "education" => read_registration_event(message),
            _ => Ok(None),
        }
    }

    fn empty(id: &str) -> Self {
        Self { id: id.to_owned(), ..Self::default() }
    }

    fn name(&self) -> String {
        format!("enrollmentViews/{}", self.id)
    }

    fn history(&mut self) -> &mut Vec<Entry<EnrollmentState>> {
        &mut self.history
    }

    fn set_summary(&mut self, application: &Application) {
        self.learner.clone_from(&application.learner);
        self.course.clone_from(&application.course);
        self.course_title.clone_from(&application.course_title);
        self.fee = Some(application.fee);
    }

    fn derive_from_history(&mut self) {
        let registered = history::last(&self.history, Source::Education);
        let registration_state = registered.map(registration_state).unwrap_or_default().to_owned();
        self.state = history::first(&self.history, Source::Enrollment).and(history::furthest(&self.history));
        self.registration_state = registration_state;
        self.payment_state = history::payment_state(&self.history);
        (self.create_time, self.update_time) = history::times(&self.history, Source::Enrollment);
    }
}

fn read_enrollment_event(message: &Envelope) -> Result<Option<ViewUpdate<EnrollmentView>>, Error> {
    use enrollment_event::Kind;
    let event: EnrollmentEvent = decode(message)?;
    let (enrollment, kind, state, summary) = match event.kind {
        Some(Kind::Enrolled(enrolled)) => {
            let summary = Some(read_summary(enrolled.summary)?);
            (enrolled.enrollment, "LEARNER_ENROLLED", EnrollmentState::Enrolled, summary)
        }
        Some(Kind::Rejected(rejected)) => {
            let summary = Some(read_summary(rejected.summary)?);
            (rejected.enrollment, "ENROLLMENT_REJECTED", EnrollmentState::Rejected, summary)
        }
        Some(Kind::Cancelled(cancelled)) => {
            (cancelled.enrollment, "ENROLLMENT_CANCELLED", EnrollmentState::Cancelled, None)
        }
        Some(Kind::Completed(completed)) => {
            (completed.enrollment, "ENROLLMENT_COMPLETED", EnrollmentState::Completed, None)
        }
        None => return Ok(None),
    };
    let id = event_id("enrollments", &enrollment)?;
    let update = ViewUpdate::new(message, Source::Enrollment, id, kind, Some(state));
    Ok(Some(ViewUpdate { summary, ..update }))
}

fn read_registration_event(message: &Envelope) -> Result<Option<ViewUpdate<EnrollmentView>>, Error> {
    use registration_event::Kind;
    let event: RegistrationEvent = decode(message)?;
    let (kind, state) = match event.kind {
        Some(Kind::Registered(_)) => ("LEARNER_REGISTERED", None),
        Some(Kind::Completed(_)) => ("COURSE_COMPLETED", Some(EnrollmentState::Completed)),
        // The enrollment announces its cancellation itself, after this event.
        Some(Kind::Cancelled(_)) => ("REGISTRATION_CANCELLED", None),
        None => return Ok(None),
    };
    let id = event_id("enrollments", &event.enrollment)?;
    Ok(Some(ViewUpdate::new(message, Source::Education, id, kind, state)))
}

fn registration_state(entry: &Entry<EnrollmentState>) -> &'static str {
    match entry.kind.as_str() {
        "LEARNER_REGISTERED" => "REGISTERED",
        "COURSE_COMPLETED" => "COMPLETED",
        "REGISTRATION_CANCELLED" => "CANCELLED",
        _ => "",
    }
}

fn read_summary(summary: Option<EnrollmentSummary>) -> Result<Application, Error> {
    let summary = summary.ok_or_else(|| Error::unreadable_event("the summary of the enrollment is missing"))?;
    Ok(Application {
        fee: read_money(summary.fee.as_ref())?,
        learner: summary.learner,
        course: summary.course,
        course_title: summary.course_title,
    })
}

impl Aggregate for EnrollmentView {
    /// The dashboard has no events.
    type Event = ();
    type Resource = pb::EnrollmentView;

    fn id(&self) -> &str {
        &self.id
    }

    fn resource(&self) -> pb::EnrollmentView {
        let entry = |entry: &Entry<EnrollmentState>| pb::enrollment_view::Entry {
            state: entry.kind.clone(),
            time: Some(entry.time.to_timestamp()),
        };
        pb::EnrollmentView {
            name: self.name(),
            enrollment: format!("enrollments/{}", self.id),
            learner: self.learner.clone(),
            course: self.course.clone(),
            course_title: self.course_title.clone(),
            fee: self.fee.map(Into::into),
            state: self.state.map(StateName::name).unwrap_or_default().to_owned(),
            payment_state: self.payment_state.clone(),
            registration_state: self.registration_state.clone(),
            history: self.history.iter().map(entry).collect(),
            create_time: Some(self.create_time.to_timestamp()),
            update_time: Some(self.update_time.to_timestamp()),
        }
    }
}
