//! The gRPC API of the education context.

use contracts::education::v1::{
    CancelRegistrationRequest, CompleteRegistrationRequest, GetRegistrationRequest, ListRegistrationsRequest,
    ListRegistrationsResponse, Registration as RegistrationResource, education_service_server::EducationService,
};
use engine::{Aggregate, Decision, Engine, FilterField, RequestKey, page_request};
use jumun_core::{Error, Time};
use tonic::{Request, Response, Status};

use crate::domain::{Registration, State};

const FILTER: &[FilterField] =
    &[FilterField::name("learner"), FilterField::name("course"), FilterField::state::<State>()];

/// Serves `jumun.education.v1.EducationService`.
pub(crate) struct EducationApi {
    pub(crate) registrations: Engine<Registration>,
}

#[tonic::async_trait]
impl EducationService for EducationApi {
    async fn get_registration(
        &self,
        request: Request<GetRegistrationRequest>,
    ) -> Result<Response<RegistrationResource>, Status> {
        let name = request.into_inner().name;
        Ok(Response::new(self.registrations.get_named(&name).await?.resource()))
    }

    async fn list_registrations(
        &self,
        request: Request<ListRegistrationsRequest>,
    ) -> Result<Response<ListRegistrationsResponse>, Status> {
        let request = request.into_inner();
        let page = page_request!(request);
        let (registrations, next_page_token) = self.registrations.list(page, FILTER).await?;
        let registrations = registrations.iter().map(Aggregate::resource).collect();
        Ok(Response::new(ListRegistrationsResponse { registrations, next_page_token }))
    }

    async fn complete_registration(
        &self,
        request: Request<CompleteRegistrationRequest>,
    ) -> Result<Response<RegistrationResource>, Status> {
        let request = request.into_inner();
        let key = RequestKey::new("CompleteRegistration", &request.request_id, &request);
        self.decide(&request.name, key, Registration::complete).await
    }

    async fn cancel_registration(
        &self,
        request: Request<CancelRegistrationRequest>,
    ) -> Result<Response<RegistrationResource>, Status> {
        let request = request.into_inner();
        let key = RequestKey::new("CancelRegistration", &request.request_id, &request);
        self.decide(&request.name, key, Registration::cancel).await
    }
}

impl EducationApi {
    async fn decide(
        &self,
        name: &str,
        key: Option<RequestKey>,
        rule: fn(&Registration, Time) -> Result<Decision<Registration>, Error>,
    ) -> Result<Response<RegistrationResource>, Status> {
        let now = self.registrations.now();
        self.registrations.command(name, key, move |registration| rule(registration, now)).await?.into_response()
    }
}
