//! education: Hana enrolls and pays, the school registers her, she completes the course or cancels.

use anyhow::ensure;
use client::AuthenticatedChannel;
use contracts::{
    Money,
    dashboard::v1::{
        ListEnrollmentViewsRequest, ListEnrollmentViewsResponse, dashboard_service_client::DashboardServiceClient,
    },
    education::v1::{
        CancelRegistrationRequest, CompleteRegistrationRequest, GetRegistrationRequest, ListRegistrationsRequest,
        ListRegistrationsResponse, Registration, education_service_client::EducationServiceClient,
        registration::State as RegistrationState,
    },
    enrollment::v1::{
        CancelEnrollmentRequest, CreateEnrollmentRequest, Enrollment, GetEnrollmentRequest,
        enrollment::State as EnrollmentState, enrollment_service_client::EnrollmentServiceClient,
    },
    payment::v1::{
        GetPaymentRequest, Payment, payment::State as PaymentState, payment_service_client::PaymentServiceClient,
    },
};

use crate::{
    addresses::Addresses,
    clients::{calls, connect},
    describe::{Describe, eventually, id, new_id},
    refusal::Answer,
    runner::StepResult,
};

const FEE: i64 = 90_000;

/// The participants of one run. Their IDs are new in each run, so that runs do not affect each other.
#[derive(Clone)]
pub(crate) struct Cast {
    enrollments: EnrollmentServiceClient<AuthenticatedChannel>,
    registrations: EducationServiceClient<AuthenticatedChannel>,
    payments: PaymentServiceClient<AuthenticatedChannel>,
    dashboard: DashboardServiceClient<AuthenticatedChannel>,
    pub(crate) learner: String,
    course: String,
    /// The course of the concurrent enrollments.
    pub(crate) busy_course: String,
}

impl Cast {
    pub(crate) async fn connect(addresses: &Addresses<'_>) -> anyhow::Result<Self> {
        // The last digits of a version 7 UUID are random; the first are the time.
        let run = new_id().split_off(24);
        Ok(Self {
            enrollments: EnrollmentServiceClient::new(connect("enrollment", addresses).await?),
            registrations: EducationServiceClient::new(connect("education", addresses).await?),
            payments: PaymentServiceClient::new(connect("payment", addresses).await?),
            dashboard: DashboardServiceClient::new(connect("dashboard", addresses).await?),
            learner: format!("learners/hana-{run}"),
            course: format!("courses/rust-{run}"),
            busy_course: format!("courses/tango-{run}"),
        })
    }

    calls! {
        enrollments.create_enrollment(CreateEnrollmentRequest) -> Enrollment;
        enrollments.get_enrollment(GetEnrollmentRequest) -> Enrollment;
        enrollments.cancel_enrollment(CancelEnrollmentRequest) -> Enrollment;
        registrations.get_registration(GetRegistrationRequest) -> Registration;
        registrations.list_registrations(ListRegistrationsRequest) -> ListRegistrationsResponse;
        registrations.complete_registration(CompleteRegistrationRequest) -> Registration;
        registrations.cancel_registration(CancelRegistrationRequest) -> Registration;
        payments.get_payment(GetPaymentRequest) -> Payment;
        dashboard.list_enrollment_views(ListEnrollmentViewsRequest) -> ListEnrollmentViewsResponse;
    }

    /// The enrollment that Hana asks for.
    pub(crate) fn application(&self, payment_method: &str) -> Enrollment {
        Enrollment {
            learner: self.learner.clone(),
            course: self.course.clone(),
            course_title: "Rust for the patient".to_owned(),
            fee: Some(Money { currency_code: "KRW".to_owned(), units: FEE, nanos: 0 }),
            payment_method: payment_method.to_owned(),
            ..Enrollment::default()
        }
    }

    /// Enrolls with a request_id.
    pub(crate) async fn apply(&self, application: &Enrollment, request_id: &str) -> Answer<Enrollment> {
        let enrollment = Some(application.clone());
        self.create_enrollment(CreateEnrollmentRequest { enrollment, request_id: request_id.to_owned() }).await
    }

    /// Enrolls with a valid card; fails unless the learner is enrolled.
    pub(crate) async fn enroll(&self) -> StepResult<Enrollment> {
        let application = self.application("tok_visa");
        let enrollment = self.apply(&application, &new_id()).await?;
        require_enrolled(&enrollment, &application)?;
        let text = format!("{}, paid by {}", enrollment.describe(), enrollment.payment);
        Ok((enrollment, text))
    }

    pub(crate) async fn enrollment_becomes(&self, name: &str, state: EnrollmentState) -> anyhow::Result<Enrollment> {
        let ask = || self.get_enrollment(GetEnrollmentRequest { name: name.to_owned() });
        let expected = format!("{name} to be {}", state.as_str_name());
        eventually(&expected, ask, |enrollment| enrollment.state() == state).await
    }

    pub(crate) async fn payment_becomes(&self, enrollment: &str, state: PaymentState) -> anyhow::Result<Payment> {
        let name = payment_of(enrollment);
        let ask = || self.get_payment(GetPaymentRequest { name: name.clone() });
        let expected = format!("{name} to be {}", state.as_str_name());
        eventually(&expected, ask, |payment| payment.state() == state).await
    }

    pub(crate) async fn registration_becomes(
        &self,
        enrollment: &str,
        state: RegistrationState,
    ) -> anyhow::Result<Registration> {
        let name = registration_of(enrollment);
        let ask = || self.get_registration(GetRegistrationRequest { name: name.clone() });
        let expected = format!("{name} to be {}", state.as_str_name());
        eventually(&expected, ask, |registration| registration.state() == state).await
    }
}

/// Fails unless the enrollment is the requested one, ENROLLED and paid.
pub(crate) fn require_enrolled(enrollment: &Enrollment, application: &Enrollment) -> anyhow::Result<()> {
    let is_enrolled = enrollment.state() == EnrollmentState::Enrolled && !enrollment.payment.is_empty();
    ensure!(is_enrolled, "expected a paid, ENROLLED enrollment, got {}", enrollment.describe());
    let is_same = enrollment.learner == application.learner
        && enrollment.course == application.course
        && enrollment.course_title == application.course_title
        && enrollment.fee == application.fee;
    ensure!(is_same, "expected the requested enrollment, got {enrollment:?}");
    Ok(())
}

pub(crate) fn payment_of(enrollment: &str) -> String {
    format!("payments/enrollment-{}", id(enrollment))
}

pub(crate) fn registration_of(enrollment: &str) -> String {
    format!("registrations/{}", id(enrollment))
}
