//! The gRPC API of the store context.

use contracts::store::v1::{
    AcceptTicketRequest, FinishCookingRequest, GetTicketRequest, ListTicketsRequest, ListTicketsResponse,
    RejectTicketRequest, StartCookingRequest, Ticket as TicketResource, store_service_server::StoreService,
};
use engine::{Aggregate, Decision, Engine, FilterField, RequestKey, page_request};
use jumun_core::{Error, Time};
use tonic::{Request, Response, Status};

use crate::domain::{State, Ticket};

const FILTER: &[FilterField] = &[FilterField::name("store"), FilterField::state::<State>()];

/// Serves `jumun.store.v1.StoreService`.
pub(crate) struct StoreApi {
    pub(crate) tickets: Engine<Ticket>,
}

#[tonic::async_trait]
impl StoreService for StoreApi {
    async fn get_ticket(&self, request: Request<GetTicketRequest>) -> Result<Response<TicketResource>, Status> {
        let name = request.into_inner().name;
        Ok(Response::new(self.tickets.get_named(&name).await?.resource()))
    }

    async fn list_tickets(
        &self,
        request: Request<ListTicketsRequest>,
    ) -> Result<Response<ListTicketsResponse>, Status> {
        let request = request.into_inner();
        let page = page_request!(request);
        let (tickets, next_page_token) = self.tickets.list(page, FILTER).await?;
        let tickets = tickets.iter().map(Aggregate::resource).collect();
        Ok(Response::new(ListTicketsResponse { tickets, next_page_token }))
    }

    async fn accept_ticket(&self, request: Request<AcceptTicketRequest>) -> Result<Response<TicketResource>, Status> {
        let request = request.into_inner();
        let key = RequestKey::new("AcceptTicket", &request.request_id, &request);
        self.decide(&request.name, key, Ticket::accept).await
    }

    async fn reject_ticket(&self, request: Request<RejectTicketRequest>) -> Result<Response<TicketResource>, Status> {
        let request = request.into_inner();
        let key = RequestKey::new("RejectTicket", &request.request_id, &request);
        self.decide(&request.name, key, Ticket::reject).await
    }

    async fn start_cooking(&self, request: Request<StartCookingRequest>) -> Result<Response<TicketResource>, Status> {
        let request = request.into_inner();
        let key = RequestKey::new("StartCooking", &request.request_id, &request);
        self.decide(&request.name, key, Ticket::start_cooking).await
    }

    async fn finish_cooking(&self, request: Request<FinishCookingRequest>) -> Result<Response<TicketResource>, Status> {
        let request = request.into_inner();
        let key = RequestKey::new("FinishCooking", &request.request_id, &request);
        self.decide(&request.name, key, Ticket::finish_cooking).await
    }
}

impl StoreApi {
    async fn decide(
        &self,
        name: &str,
        key: Option<RequestKey>,
        rule: fn(&Ticket, Time) -> Result<Decision<Ticket>, Error>,
    ) -> Result<Response<TicketResource>, Status> {
        let now = self.tickets.now();
        self.tickets.command(name, key, move |ticket| rule(ticket, now)).await?.into_response()
    }
}
