//! Registers the learners of paid enrollments, and cancels the registrations of cancelled enrollments.

#[cfg(test)]
mod tests;

use contracts::enrollment::v1::{EnrollmentEvent, LearnerEnrolled, enrollment_event::Kind};
use eventing::{EventEffect, Policy, event_id, policy};
use jumun_core::{Clock, Error, Time};

use crate::domain::{Registration, State};

/// Applies the events of an enrollment.
pub(crate) fn on_enrollment_event(clock: &Clock) -> Policy<Registration> {
    let clock = clock.clone();
    policy(move |event: EnrollmentEvent, _| {
        let now = clock.now();
        match event.kind {
            Some(Kind::Enrolled(enrolled)) => register(enrolled, now),
            Some(Kind::Cancelled(cancelled)) => {
                let cancel = move |registration: &Registration| registration.cancel_by_enrollment(now);
                EventEffect::on_existing("enrollments", &cancelled.enrollment, cancel)
            }
            Some(Kind::Rejected(_) | Kind::Completed(_)) | None => Ok(EventEffect::Ignore),
        }
    })
}

fn register(enrolled: LearnerEnrolled, now: Time) -> Result<EventEffect<Registration>, Error> {
    let id = event_id("enrollments", &enrolled.enrollment)?.to_owned();
    let summary =
        enrolled.summary.ok_or_else(|| Error::unreadable_event(format!("{} has no summary", enrolled.enrollment)))?;
    let registered = Registration {
        id: id.clone(),
        learner: summary.learner,
        course: summary.course,
        state: State::Registered,
        create_time: now,
        update_time: now,
    };
    Ok(EventEffect::decide(id, move |existing| Registration::register(existing, &registered)))
}
