//! Who may ask the delivery context for what.

use contracts::delivery::v1::{
    CompleteDeliveryRequest, Delivery as DeliveryResource, GetDeliveryRequest, ListDeliveriesRequest,
    ListDeliveriesResponse, PickUpDeliveryRequest, StartDeliveryRequest, delivery_service_server::DeliveryService,
};
use kit::{
    Aggregate, Decision, Engine, Error, FilterField, PageRequest, RequestKey, Time, Violations,
    name::{check_request_id, id_in},
};
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
        let id = delivery_id(&name, "", Violations::default())?;
        let delivery = self.deliveries.get(id).await?.ok_or_else(|| Error::not_found(&name))?;
        Ok(Response::new(delivery.resource()))
    }

    async fn list_deliveries(
        &self,
        request: Request<ListDeliveriesRequest>,
    ) -> Result<Response<ListDeliveriesResponse>, Status> {
        let request = request.into_inner();
        let page =
            PageRequest { page_size: request.page_size, page_token: &request.page_token, filter: &request.filter };
        let (deliveries, next_page_token) = self.deliveries.list(page, FILTER).await?;
        let deliveries = deliveries.iter().map(Aggregate::resource).collect();
        Ok(Response::new(ListDeliveriesResponse { deliveries, next_page_token }))
    }

    async fn start_delivery(
        &self,
        request: Request<StartDeliveryRequest>,
    ) -> Result<Response<DeliveryResource>, Status> {
        let request = request.into_inner();
        let mut violations = Violations::default();
        violations.take("rider", id_in("riders", &request.rider));
        let id = delivery_id(&request.name, &request.request_id, violations)?;
        let key = RequestKey::new("StartDelivery", &request.request_id, &request)?;
        let rider = request.rider.clone();
        self.decide(id, key, move |delivery, now| delivery.start(&rider, now)).await
    }

    async fn pick_up_delivery(
        &self,
        request: Request<PickUpDeliveryRequest>,
    ) -> Result<Response<DeliveryResource>, Status> {
        let request = request.into_inner();
        let id = delivery_id(&request.name, &request.request_id, Violations::default())?;
        let key = RequestKey::new("PickUpDelivery", &request.request_id, &request)?;
        self.decide(id, key, Delivery::pick_up).await
    }

    async fn complete_delivery(
        &self,
        request: Request<CompleteDeliveryRequest>,
    ) -> Result<Response<DeliveryResource>, Status> {
        let request = request.into_inner();
        let id = delivery_id(&request.name, &request.request_id, Violations::default())?;
        let key = RequestKey::new("CompleteDelivery", &request.request_id, &request)?;
        self.decide(id, key, Delivery::complete).await
    }
}

impl DeliveryApi {
    async fn decide(
        &self,
        id: &str,
        key: Option<RequestKey>,
        rule: impl Fn(&Delivery, Time) -> Result<Decision<Delivery>, Error> + Send + 'static,
    ) -> Result<Response<DeliveryResource>, Status> {
        let (name, now) = (format!("deliveries/{id}"), self.deliveries.now());
        let decide = move |delivery: Option<&Delivery>| rule(delivery.ok_or_else(|| Error::not_found(&name))?, now);
        self.deliveries.execute(id, key, decide).await?.into_response()
    }
}

/// The delivery that a request names. A wrong name and a wrong `request_id` are told together with what else is wrong.
fn delivery_id<'a>(name: &'a str, request_id: &str, mut violations: Violations) -> Result<&'a str, Error> {
    let id = violations.take("name", id_in("deliveries", name));
    if !request_id.is_empty() {
        violations.take("request_id", check_request_id(request_id));
    }
    violations.into_result()?;
    Ok(id.unwrap_or_default())
}
