//! Updates enrollments from the events of education.

use contracts::education::v1::{RegistrationEvent, registration_event::Kind};
use eventing::{EventEffect, Policy, policy};
use jumun_core::Clock;

use crate::domain::Enrollment;

/// Applies the events of a registration.
pub(crate) fn on_registration_event(clock: &Clock) -> Policy<Enrollment> {
    let clock = clock.clone();
    policy(move |event: RegistrationEvent, _| {
        let now = clock.now();
        let rule = match event.kind {
            Some(Kind::Completed(_)) => Enrollment::complete,
            Some(Kind::Cancelled(_)) => Enrollment::cancel_by_school,
            Some(Kind::Registered(_)) | None => return Ok(EventEffect::Ignore),
        };
        EventEffect::on_existing("enrollments", &event.enrollment, move |enrollment| rule(enrollment, now))
    })
}
