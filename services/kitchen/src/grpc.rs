//! The gRPC API of the kitchen context.

use contracts::kitchen::v1::{
    CancelProductionRequest, CompleteProductionRequest, FailProductionRequest, GetProductionRequest,
    ListProductionsRequest, ListProductionsResponse, Production as ProductionResource,
    kitchen_service_server::KitchenService,
};
use engine::{Aggregate, CommandOutcome, Decision, Engine, FilterField, RequestKey, page_request};
use jumun_core::{Code, Error, Time, name::id_in, request_context::caller};
use tonic::{Request, Response, Status};

use crate::domain::{Production, State};

const FILTER: &[FilterField] = &[FilterField::name("store"), FilterField::state::<State>()];

/// Serves `jumun.kitchen.v1.KitchenService`.
pub(crate) struct KitchenApi {
    pub(crate) productions: Engine<Production>,
}

#[tonic::async_trait]
impl KitchenService for KitchenApi {
    async fn get_production(
        &self,
        request: Request<GetProductionRequest>,
    ) -> Result<Response<ProductionResource>, Status> {
        let name = request.into_inner().name;
        Ok(Response::new(self.productions.get_named(&name).await?.resource()))
    }

    async fn list_productions(
        &self,
        request: Request<ListProductionsRequest>,
    ) -> Result<Response<ListProductionsResponse>, Status> {
        let request = request.into_inner();
        let page = page_request!(request);
        let (productions, next_page_token) = self.productions.list(page, FILTER).await?;
        let productions = productions.iter().map(Aggregate::resource).collect();
        Ok(Response::new(ListProductionsResponse { productions, next_page_token }))
    }

    async fn cancel_production(
        &self,
        request: Request<CancelProductionRequest>,
    ) -> Result<Response<ProductionResource>, Status> {
        let request = request.into_inner();
        let key = RequestKey::new("CancelProduction", &request.request_id, &request);
        match self.decide(&request.name, key.clone(), Production::cancel).await {
            Err(error) if error.code == Code::NotFound => self.leave_tombstone(&request.name, key, error).await,
            answer => answer?.into_response(),
        }
    }

    async fn complete_production(
        &self,
        request: Request<CompleteProductionRequest>,
    ) -> Result<Response<ProductionResource>, Status> {
        let request = request.into_inner();
        let key = RequestKey::new("CompleteProduction", &request.request_id, &request);
        self.decide(&request.name, key, Production::complete).await?.into_response()
    }

    async fn fail_production(
        &self,
        request: Request<FailProductionRequest>,
    ) -> Result<Response<ProductionResource>, Status> {
        let request = request.into_inner();
        let key = RequestKey::new("FailProduction", &request.request_id, &request);
        self.decide(&request.name, key, Production::fail).await?.into_response()
    }
}

impl KitchenApi {
    async fn decide(
        &self,
        name: &str,
        key: Option<RequestKey>,
        rule: fn(&Production, Time) -> Result<Decision<Production>, Error>,
    ) -> Result<CommandOutcome<Production>, Error> {
        let now = self.productions.now();
        self.productions.command(name, key, move |production| rule(production, now)).await
    }

    /// Cancels a production before its order has reached the kitchen. Only other contexts may do that.
    async fn leave_tombstone(
        &self,
        name: &str,
        key: Option<RequestKey>,
        not_found: Error,
    ) -> Result<Response<ProductionResource>, Status> {
        let now = self.productions.now();
        let tombstone = Production::tombstone(id_in("productions", name).map_err(Error::internal)?, now);
        if !engine::may_see(&caller(), &tombstone) {
            return Err(not_found.into());
        }
        let id = tombstone.id.clone();
        let rule =
            move |existing: Option<&Production>| Production::cancel_or_leave_tombstone(existing, &tombstone, now);
        self.productions.execute(id, key, rule).await?.into_response()
    }
}
