//! Steps of the education journeys: Hana enrolls and learns, the school registers her.

use std::collections::HashMap;

use contracts::{
    dashboard::v1::{EnrollmentView, ListEnrollmentViewsRequest, dashboard_service_client::DashboardServiceClient},
    education::v1::{
        CancelRegistrationRequest, CompleteRegistrationRequest, GetRegistrationRequest, Registration,
        education_service_client::EducationServiceClient,
    },
    enrollment::v1::{
        CancelEnrollmentRequest, CreateEnrollmentRequest, Enrollment, GetEnrollmentRequest, enrollment::State,
        enrollment_service_client::EnrollmentServiceClient,
    },
    payment::v1::{GetPaymentRequest, Payment, payment_service_client::PaymentServiceClient},
};
use rpc::GrpcStack;
use testkit::TestCluster;
use tonic::Status;

use super::{
    super::contexts,
    food::{inner, states, won},
};

pub(super) const HANA: &str = "learners/hana";

pub(super) struct School {
    pub(super) cluster: TestCluster,
}

impl School {
    pub(super) async fn open() -> Self {
        Self { cluster: TestCluster::new(admin::platform(), contexts::all()).await }
    }

    /// Settles, and asserts that nothing is left pending and all payments match.
    pub(super) async fn close(self) {
        self.cluster.settle().await;
        self.assert_that_the_money_agrees().await;
        self.cluster.finish().await;
    }

    // --- Hana ---------------------------------------------------------------------------------------------

    pub(super) fn enrollments(&self) -> EnrollmentServiceClient<GrpcStack> {
        EnrollmentServiceClient::new(self.cluster.channel())
    }

    pub(super) async fn enroll(&self, request_id: &str, application: &Enrollment) -> Result<Enrollment, Status> {
        let enrollment = Some(application.clone());
        let request = CreateEnrollmentRequest { enrollment, request_id: request_id.to_owned() };
        inner(self.enrollments().create_enrollment(request).await)
    }

    /// A confirmed enrollment.
    pub(super) async fn place(&self, request_id: &str) -> Enrollment {
        let enrollment = self.enroll(request_id, &apply("tok_visa")).await.expect("a good card");
        assert_eq!(enrollment.state(), State::Enrolled);
        self.cluster.settle().await;
        enrollment
    }

    pub(super) async fn get(&self, name: &str) -> Enrollment {
        self.cluster.settle().await;
        let request = GetEnrollmentRequest { name: name.to_owned() };
        inner(self.enrollments().get_enrollment(request).await).expect("an enrollment")
    }

    pub(super) async fn cancel(&self, name: &str) -> Result<Enrollment, Status> {
        let request = CancelEnrollmentRequest { name: name.to_owned(), request_id: String::new() };
        let cancelled = inner(self.enrollments().cancel_enrollment(request).await);
        self.cluster.settle().await;
        cancelled
    }

    /// Her own page.
    pub(super) async fn page_of(&self, learner: &str) -> Vec<EnrollmentView> {
        self.cluster.settle().await;
        let filter = format!("learner = {learner}");
        let request = ListEnrollmentViewsRequest { filter, ..ListEnrollmentViewsRequest::default() };
        let mut dashboard = DashboardServiceClient::new(self.cluster.channel());
        inner(dashboard.list_enrollment_views(request).await).expect("a page").enrollment_views
    }

    // --- the school ---------------------------------------------------------------------------------------

    fn school(&self) -> EducationServiceClient<GrpcStack> {
        EducationServiceClient::new(self.cluster.channel())
    }

    pub(super) async fn registration(&self, enrollment: &str) -> Result<Registration, Status> {
        self.cluster.settle().await;
        let request = GetRegistrationRequest { name: registration_name(enrollment) };
        inner(self.school().get_registration(request).await)
    }

    pub(super) async fn complete(&self, enrollment: &str) -> Result<Registration, Status> {
        let request = CompleteRegistrationRequest { name: registration_name(enrollment), request_id: String::new() };
        let completed = inner(self.school().complete_registration(request).await);
        self.cluster.settle().await;
        completed
    }

    pub(super) async fn cancel_by_school(&self, enrollment: &str) -> Result<Registration, Status> {
        let request = CancelRegistrationRequest { name: registration_name(enrollment), request_id: String::new() };
        let cancelled = inner(self.school().cancel_registration(request).await);
        self.cluster.settle().await;
        cancelled
    }

    // --- the money ----------------------------------------------------------------------------------------

    pub(super) async fn payment_of(&self, enrollment: &str) -> Result<Payment, Status> {
        let name = enrollment.replace("enrollments/", "payments/enrollment-");
        let mut payments = PaymentServiceClient::new(self.cluster.channel());
        inner(payments.get_payment(GetPaymentRequest { name }).await)
    }

    /// The states of the enrollment, its payment and its charge at the provider; "" where there is none.
    pub(super) async fn states_of(&self, enrollment: &str) -> [String; 3] {
        self.cluster.settle().await;
        let id = enrollment.replace("enrollments/", "");
        let payment = format!("enrollment-{id}");
        [
            self.states("enrollment", "enrollment", "enrollments").await.remove(&id).unwrap_or_default(),
            self.states("payment", "payment", "payments").await.remove(&payment).unwrap_or_default(),
            self.charges().await.remove(&payment).unwrap_or_default(),
        ]
    }

    pub(super) async fn charges(&self) -> HashMap<String, String> {
        self.states("payment", payment::PROVIDER_SCHEMA, "charges").await
    }

    pub(super) async fn states(&self, context: &str, schema: &str, table: &'static str) -> HashMap<String, String> {
        states(&self.cluster, context, schema, table).await
    }

    /// Rules S1 and S2: money is held for confirmed enrollments only; and the registrations match the enrollments.
    async fn assert_that_the_money_agrees(&self) {
        let mut registrations = self.states("education", "education", "registrations").await;
        for (id, state) in self.states("enrollment", "enrollment", "enrollments").await {
            let found = self.states_of(&format!("enrollments/{id}")).await;
            let money = (found[1].as_str(), found[2].as_str());
            let registration = registrations.remove(&id).unwrap_or_default();
            let agrees = match state.as_str() {
                "REJECTED" => {
                    matches!(money, ("DECLINED", "DECLINED") | ("VOIDED", "RELEASED") | ("", ""))
                        && registration.is_empty()
                }
                "ENROLLED" => money == ("CAPTURED", "TAKEN") && registration == "REGISTERED",
                "COMPLETED" => money == ("CAPTURED", "TAKEN") && registration == "COMPLETED",
                "CANCELLED" => money == ("REFUNDED", "GIVEN_BACK") && registration == "CANCELLED",
                _ => false,
            };
            assert!(agrees, "enrollments/{id} is {state}, its money is {money:?}, its registration {registration:?}");
        }
        assert!(registrations.is_empty(), "no enrollments for {registrations:?}");
    }
}

/// What Hana applies for: a course of 90,000 won.
pub(super) fn apply(payment_method: &str) -> Enrollment {
    Enrollment {
        learner: HANA.to_owned(),
        course: "courses/rust-101".to_owned(),
        course_title: "Rust for the patient".to_owned(),
        fee: Some(won(90_000)),
        payment_method: payment_method.to_owned(),
        ..Enrollment::default()
    }
}

fn registration_name(enrollment: &str) -> String {
    enrollment.replace("enrollments/", "registrations/")
}
