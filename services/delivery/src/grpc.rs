//! The gRPC API of the delivery context.

use contracts::delivery::v1::{
    CompleteDeliveryRequest, Delivery as DeliveryResource, GetDeliveryRequest, ListDeliveriesRequest,
    ListDeliveriesResponse, PickUpDeliveryRequest, StartDeliveryRequest, delivery_service_server::DeliveryService,
};
use engine::{Aggregate, Decision, Engine, FilterField, RequestKey, page_request};
use jumun_core::{Error, Time};
use tonic::{Request, Response, Status};

use crate::domain::{Delivery, State};

const FILTER: &[FilterField] = &[FilterField::name("rider"), FilterField::name("store"), FilterField::state::<State>()];

/// Serves `jumun.delivery.v1.DeliveryService`.
pub(crate) struct DeliveryApi {
    pub(crate) deliveries: Engine<Delivery>,
}

#[tonic::async_trait]
impl DeliveryService for DeliveryApi {
    async fn get_delivery(&self, request: Request<GetDeliveryRequest>) -> Result<Response<DeliveryResource>, Status> {
        let name = request.into_inner().name;
        Ok(Response::new(self.deliveries.get_named(&name).await?.resource()))
    }

    async fn list_deliveries(
        &self,
        request: Request<ListDeliveriesRequest>,
    ) -> Result<Response<ListDeliveriesResponse>, Status> {
        let request = request.into_inner();
        let page = page_request!(request);
        let (deliveries, next_page_token) = self.deliveries.list(page, FILTER).await?;
        let deliveries = deliveries.iter().map(Aggregate::resource).collect();
        Ok(Response::new(ListDeliveriesResponse { deliveries, next_page_token }))
    }

    async fn start_delivery(
        &self,
        request: Request<StartDeliveryRequest>,
    ) -> Result<Response<DeliveryResource>, Status> {
        let request = request.into_inner();
        let key = RequestKey::new("StartDelivery", &request.request_id, &request);
        let rider = request.rider.clone();
        self.decide(&request.name, key, move |delivery, now| delivery.start(&rider, now)).await
    }

    async fn pick_up_delivery(
        &self,
        request: Request<PickUpDeliveryRequest>,
    ) -> Result<Response<DeliveryResource>, Status> {
        let request = request.into_inner();
        let key = RequestKey::new("PickUpDelivery", &request.request_id, &request);
        self.decide(&request.name, key, Delivery::pick_up).await
    }

    async fn complete_delivery(
        &self,
        request: Request<CompleteDeliveryRequest>,
    ) -> Result<Response<DeliveryResource>, Status> {
        let request = request.into_inner();
        let key = RequestKey::new("CompleteDelivery", &request.request_id, &request);
        self.decide(&request.name, key, Delivery::complete).await
    }
}

impl DeliveryApi {
    async fn decide(
        &self,
        name: &str,
        key: Option<RequestKey>,
        rule: impl Fn(&Delivery, Time) -> Result<Decision<Delivery>, Error> + Send + 'static,
    ) -> Result<Response<DeliveryResource>, Status> {
        let now = self.deliveries.now();
        self.deliveries.command(name, key, move |delivery| rule(delivery, now)).await?.into_response()
    }
}
