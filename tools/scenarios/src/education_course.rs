//! Registrations: created by an event, completed or cancelled, and shown on the learner's own page.

use std::collections::BTreeSet;

use anyhow::ensure;
use contracts::{
    dashboard::v1::{ListEnrollmentViewsRequest, ListEnrollmentViewsResponse},
    education::v1::{
        CancelRegistrationRequest, CompleteRegistrationRequest, ListRegistrationsRequest, ListRegistrationsResponse,
        Registration, registration::State as RegistrationState,
    },
    enrollment::v1::{CancelEnrollmentRequest, Enrollment, enrollment::State as EnrollmentState},
    payment::v1::payment::State as PaymentState,
};
use jumun_core::task::JoinSet;
use tonic::Code;

use crate::{
    describe::{Describe, checked, described, eventually, new_id, refused},
    education::{Cast, registration_of, require_enrolled},
    runner::{ScenarioRunner, Scene, StepResult},
};

/// Number of learners who enroll at the same time.
const RUSH: usize = 20;

pub(crate) async fn completed(runner: &ScenarioRunner, cast: &Cast) -> Scene {
    let enrollment = runner.step("Hana enrolls", cast.enroll()).await?;
    runner.step("The school registers her", registered(cast, &enrollment)).await?;
    runner.step("She completes the course", complete(cast, &enrollment)).await?;
    runner.step("Her enrollment is completed", becomes(cast, &enrollment, EnrollmentState::Completed, "")).await?;
    runner.step("She tries to cancel, too late", cancel_too_late(cast, &enrollment)).await?;
    runner.step("The payment is captured", paid(cast, &enrollment, PaymentState::Captured)).await
}

pub(crate) async fn cancelled(runner: &ScenarioRunner, cast: &Cast) -> Scene {
    let enrollment = runner.step("Hana enrolls", cast.enroll()).await?;
    runner.step("The school registers her", registered(cast, &enrollment)).await?;
    runner.step("She cancels the enrollment", cancel(cast, &enrollment)).await?;
    runner.step("The payment is refunded", paid(cast, &enrollment, PaymentState::Refunded)).await?;
    runner.step("Her registration is cancelled", unregistered(cast, &enrollment)).await?;
    runner.step("The course can no longer be completed", complete_in_vain(cast, &enrollment)).await
}

pub(crate) async fn by_school(runner: &ScenarioRunner, cast: &Cast) -> Scene {
    let enrollment = runner.step("Hana enrolls", cast.enroll()).await?;
    runner.step("The school registers her", registered(cast, &enrollment)).await?;
    runner.step("The school cancels the registration", cancel_registration(cast, &enrollment)).await?;
    let withdrawn = becomes(cast, &enrollment, EnrollmentState::Cancelled, "REGISTRATION_CANCELLED");
    runner.step("Her enrollment is cancelled", withdrawn).await?;
    runner.step("The payment is refunded", paid(cast, &enrollment, PaymentState::Refunded)).await
}

/// Many learners enroll at once, and each is registered once.
pub(crate) async fn rush(runner: &ScenarioRunner, cast: &Cast) -> Scene {
    runner.remark("A demo cannot stop the education context. It shows that enrollments do not wait for registrations,");
    runner.remark("and that each enrollment is registered once.");
    let enrolled = runner.step(&format!("{RUSH} learners enroll at once"), burst(cast)).await?;
    runner.step("Each learner has one registration", each_registered_once(cast, &enrolled)).await
}

/// The views of all these enrollments.
pub(crate) async fn own_page(runner: &ScenarioRunner, cast: &Cast) -> Scene {
    runner.step("Hana opens her page: every enrollment, with title, state and history", page(cast)).await
}

async fn registered(cast: &Cast, enrollment: &Enrollment) -> StepResult<Registration> {
    let registration = cast.registration_becomes(&enrollment.name, RegistrationState::Registered).await?;
    let holds = |found: &Registration| {
        (&found.enrollment, &found.learner, &found.course)
            == (&enrollment.name, &enrollment.learner, &enrollment.course)
    };
    checked(registration, "the registration of her enrollment", holds)
}

async fn complete(cast: &Cast, enrollment: &Enrollment) -> StepResult<Registration> {
    let request = CompleteRegistrationRequest { name: registration_of(&enrollment.name), request_id: new_id() };
    let registration = cast.complete_registration(request).await?;
    checked(registration, "COMPLETED", |registration| registration.state() == RegistrationState::Completed)
}

async fn complete_in_vain(cast: &Cast, enrollment: &Enrollment) -> StepResult<()> {
    let request = CompleteRegistrationRequest { name: registration_of(&enrollment.name), request_id: new_id() };
    let refusal = refused(cast.complete_registration(request).await)?;
    refusal.require(Code::FailedPrecondition, "REGISTRATION_NOT_ACTIVE")?;
    Ok(((), refusal.to_string()))
}

async fn cancel(cast: &Cast, enrollment: &Enrollment) -> StepResult<Enrollment> {
    let request = CancelEnrollmentRequest { name: enrollment.name.clone(), request_id: new_id() };
    let enrollment = cast.cancel_enrollment(request).await?;
    checked(enrollment, "CANCELLED", |enrollment| enrollment.state() == EnrollmentState::Cancelled)
}

async fn cancel_too_late(cast: &Cast, enrollment: &Enrollment) -> StepResult<()> {
    let request = CancelEnrollmentRequest { name: enrollment.name.clone(), request_id: new_id() };
    let refusal = refused(cast.cancel_enrollment(request).await)?;
    refusal.require(Code::FailedPrecondition, "ENROLLMENT_NOT_CANCELLABLE")?;
    Ok(((), refusal.to_string()))
}

async fn cancel_registration(cast: &Cast, enrollment: &Enrollment) -> StepResult<Registration> {
    let request = CancelRegistrationRequest { name: registration_of(&enrollment.name), request_id: new_id() };
    let registration = cast.cancel_registration(request).await?;
    checked(registration, "CANCELLED", |registration| registration.state() == RegistrationState::Cancelled)
}

async fn unregistered(cast: &Cast, enrollment: &Enrollment) -> StepResult<Registration> {
    described(cast.registration_becomes(&enrollment.name, RegistrationState::Cancelled).await?)
}

async fn becomes(cast: &Cast, enrollment: &Enrollment, state: EnrollmentState, reason: &str) -> StepResult<Enrollment> {
    let enrollment = cast.enrollment_becomes(&enrollment.name, state).await?;
    checked(enrollment, reason, |enrollment| enrollment.state_reason == reason)
}

async fn paid(cast: &Cast, enrollment: &Enrollment, state: PaymentState) -> StepResult<()> {
    let payment = cast.payment_becomes(&enrollment.name, state).await?;
    ensure!(payment.amount == enrollment.fee, "expected the fee, got {}", payment.describe());
    Ok(((), payment.describe()))
}

async fn burst(cast: &Cast) -> StepResult<BTreeSet<String>> {
    let mut applying = JoinSet::new();
    for _ in 0..RUSH {
        let cast = cast.clone();
        applying.spawn(async move {
            let application = Enrollment { course: cast.busy_course.clone(), ..cast.application("tok_visa") };
            let enrollment = cast.apply(&application, &new_id()).await?;
            require_enrolled(&enrollment, &application)?;
            anyhow::Ok(enrollment.name)
        });
    }
    let enrolled = applying.join_all().await.into_iter().collect::<anyhow::Result<BTreeSet<_>>>()?;
    ensure!(enrolled.len() == RUSH, "expected {RUSH} enrollments, got {}", enrolled.len());
    Ok((enrolled, format!("{RUSH} learners are ENROLLED")))
}

impl Describe for ListRegistrationsResponse {
    fn describe(&self) -> String {
        format!("{} registrations", self.registrations.len())
    }
}

async fn each_registered_once(cast: &Cast, enrolled: &BTreeSet<String>) -> StepResult<()> {
    let ask = || {
        let filter = format!("course = {}", cast.busy_course);
        cast.list_registrations(ListRegistrationsRequest { page_size: 100, filter, ..Default::default() })
    };
    let holds = |page: &ListRegistrationsResponse| page.registrations.len() >= enrolled.len();
    let page = eventually(&format!("{RUSH} registrations"), ask, holds).await?;
    let found: BTreeSet<_> = page.registrations.iter().map(|registration| registration.enrollment.clone()).collect();
    ensure!(page.registrations.len() == RUSH && found == *enrolled, "expected each once, got {}", page.describe());
    Ok(((), page.describe()))
}

impl Describe for ListEnrollmentViewsResponse {
    fn describe(&self) -> String {
        let count = |state: &str| self.enrollment_views.iter().filter(|view| view.state == state).count();
        let states = ["ENROLLED", "COMPLETED", "CANCELLED", "REJECTED"];
        states.map(|state| format!("{} {state}", count(state))).join(", ")
    }
}

/// The expected enrollments of all scenes: enrolled, completed, cancelled and rejected.
async fn page(cast: &Cast) -> StepResult<()> {
    let ask = || {
        let filter = format!("learner = {}", cast.learner);
        cast.list_enrollment_views(ListEnrollmentViewsRequest { page_size: 100, filter, ..Default::default() })
    };
    let holds = |page: &ListEnrollmentViewsResponse| {
        let count = |state: &str| page.enrollment_views.iter().filter(|view| view.state == state).count();
        let is_whole = |view: &contracts::dashboard::v1::EnrollmentView| {
            view.learner == cast.learner && !view.course_title.is_empty() && !view.history.is_empty()
        };
        // The first scene's enrollment and the rush; declined, no card, and two that payment never confirmed.
        let expected = (1 + RUSH, 1, 2, 4);
        (count("ENROLLED"), count("COMPLETED"), count("CANCELLED"), count("REJECTED")) == expected
            && page.enrollment_views.iter().all(is_whole)
    };
    let expected = format!("{} ENROLLED, 1 COMPLETED, 2 CANCELLED, 4 REJECTED", 1 + RUSH);
    let page = eventually(&expected, ask, holds).await?;
    Ok(((), page.describe()))
}
