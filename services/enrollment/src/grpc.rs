//! The gRPC API of the enrollment context.

use contracts::enrollment::v1::{
    CancelEnrollmentRequest, CreateEnrollmentRequest, Enrollment as EnrollmentResource, GetEnrollmentRequest,
    ListEnrollmentsRequest, ListEnrollmentsResponse, enrollment_service_server::EnrollmentService,
};
use engine::{Aggregate, Engine, FilterField, RequestKey, page_request};
use jumun_core::{Error, Money, Time, Violations, declared, name::new_id, request_context::run_to_completion};
use payment_saga::PaymentSaga;
use tonic::{Request, Response, Status};

use crate::domain::{Enrollment, State};

const FILTER: &[FilterField] =
    &[FilterField::name("learner"), FilterField::name("course"), FilterField::state::<State>()];

/// Serves `jumun.enrollment.v1.EnrollmentService`.
pub(crate) struct EnrollmentApi {
    pub(crate) enrollments: Engine<Enrollment>,
    pub(crate) payment_saga: PaymentSaga<Enrollment>,
}

#[tonic::async_trait]
impl EnrollmentService for EnrollmentApi {
    async fn create_enrollment(
        &self,
        request: Request<CreateEnrollmentRequest>,
    ) -> Result<Response<EnrollmentResource>, Status> {
        let request = request.into_inner();
        let requested = requested_enrollment(&request, self.enrollments.now())?;
        let key = declared(RequestKey::new("CreateEnrollment", &request.request_id, &request))?;
        let payment_saga = self.payment_saga.clone();
        // Runs to completion, also when the caller disconnects.
        let enrollment = run_to_completion(async move { payment_saga.run(key, requested).await }).await?;
        Ok(Response::new(enrollment.resource()))
    }

    async fn get_enrollment(
        &self,
        request: Request<GetEnrollmentRequest>,
    ) -> Result<Response<EnrollmentResource>, Status> {
        let name = request.into_inner().name;
        Ok(Response::new(self.enrollments.get_named(&name).await?.resource()))
    }

    async fn list_enrollments(
        &self,
        request: Request<ListEnrollmentsRequest>,
    ) -> Result<Response<ListEnrollmentsResponse>, Status> {
        let request = request.into_inner();
        let page = page_request!(request);
        let (enrollments, next_page_token) = self.enrollments.list(page, FILTER).await?;
        let enrollments = enrollments.iter().map(Aggregate::resource).collect();
        Ok(Response::new(ListEnrollmentsResponse { enrollments, next_page_token }))
    }

    async fn cancel_enrollment(
        &self,
        request: Request<CancelEnrollmentRequest>,
    ) -> Result<Response<EnrollmentResource>, Status> {
        let request = request.into_inner();
        let key = RequestKey::new("CancelEnrollment", &request.request_id, &request);
        let now = self.enrollments.now();
        let cancel = move |enrollment: &Enrollment| enrollment.cancel(now);
        self.enrollments.command(&request.name, key, cancel).await?.into_response()
    }
}

/// Builds the requested enrollment, and checks what its proto cannot declare.
fn requested_enrollment(request: &CreateEnrollmentRequest, now: Time) -> Result<Enrollment, Error> {
    let enrollment = declared(request.enrollment.as_ref())?;
    let mut violations = Violations::default();
    let fee = violations.take("enrollment.fee", Money::try_from(declared(enrollment.fee.as_ref())?));
    violations.require(fee.is_none_or(|fee| fee.minor() > 0), "enrollment.fee", "must be more than zero");
    violations.into_result()?;
    Ok(Enrollment {
        id: new_id(),
        learner: enrollment.learner.clone(),
        course: enrollment.course.clone(),
        course_title: enrollment.course_title.clone(),
        fee: declared(fee)?,
        payment_method: enrollment.payment_method.clone(),
        state: State::Pending,
        state_reason: String::new(),
        payment: String::new(),
        create_time: now,
        enrolled_time: None,
        update_time: now,
    })
}
