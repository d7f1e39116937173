//! Who may ask the store context for what.

use contracts::store::v1::{
    AcceptTicketRequest, FinishCookingRequest, GetTicketRequest, ListTicketsRequest, ListTicketsResponse,
    RejectTicketRequest, StartCookingRequest, Ticket as TicketResource, store_service_server::StoreService,
};
use kit::{
    Aggregate, Decision, Engine, Error, FilterField, PageRequest, RequestKey, Time, Violations,
    name::{check_request_id, id_in},
};
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
        let ticket = self.tickets.get(ticket_id(&name, "")?).await?.ok_or_else(|| Error::not_found(&name))?;
        Ok(Response::new(ticket.resource()))
    }

    async fn list_tickets(
        &self,
        request: Request<ListTicketsRequest>,
    ) -> Result<Response<ListTicketsResponse>, Status> {
        let request = request.into_inner();
        let page =
            PageRequest { page_size: request.page_size, page_token: &request.page_token, filter: &request.filter };
        let (tickets, next_page_token) = self.tickets.list(page, FILTER).await?;
        let tickets = tickets.iter().map(Aggregate::resource).collect();
        Ok(Response::new(ListTicketsResponse { tickets, next_page_token }))
    }

    async fn accept_ticket(&self, request: Request<AcceptTicketRequest>) -> Result<Response<TicketResource>, Status> {
        let request = request.into_inner();
        let id = ticket_id(&request.name, &request.request_id)?;
        let key = RequestKey::new("AcceptTicket", &request.request_id, &request)?;
        self.decide(id, key, Ticket::accept).await
    }

    async fn reject_ticket(&self, request: Request<RejectTicketRequest>) -> Result<Response<TicketResource>, Status> {
        let request = request.into_inner();
        let id = ticket_id(&request.name, &request.request_id)?;
        let key = RequestKey::new("RejectTicket", &request.request_id, &request)?;
        self.decide(id, key, Ticket::reject).await
    }

    async fn start_cooking(&self, request: Request<StartCookingRequest>) -> Result<Response<TicketResource>, Status> {
        let request = request.into_inner();
        let id = ticket_id(&request.name, &request.request_id)?;
        let key = RequestKey::new("StartCooking", &request.request_id, &request)?;
        self.decide(id, key, Ticket::start_cooking).await
    }

    async fn finish_cooking(&self, request: Request<FinishCookingRequest>) -> Result<Response<TicketResource>, Status> {
        let request = request.into_inner();
        let id = ticket_id(&request.name, &request.request_id)?;
        let key = RequestKey::new("FinishCooking", &request.request_id, &request)?;
        self.decide(id, key, Ticket::finish_cooking).await
    }
}

impl StoreApi {
    async fn decide(
        &self,
        id: &str,
        key: Option<RequestKey>,
        rule: fn(&Ticket, Time) -> Result<Decision<Ticket>, Error>,
    ) -> Result<Response<TicketResource>, Status> {
        let (name, now) = (format!("tickets/{id}"), self.tickets.now());
        let decide = move |ticket: Option<&Ticket>| rule(ticket.ok_or_else(|| Error::not_found(&name))?, now);
        self.tickets.execute(id, key, decide).await?.into_response()
    }
}

/// The ticket that a request names. A wrong `request_id` is told together with a wrong name.
fn ticket_id<'a>(name: &'a str, request_id: &str) -> Result<&'a str, Error> {
    let mut violations = Violations::default();
    let id = violations.take("name", id_in("tickets", name));
    if !request_id.is_empty() {
        violations.take("request_id", check_request_id(request_id));
    }
    violations.into_result()?;
    Ok(id.unwrap_or_default())
}
