//! The gRPC API of the customer context.

use contracts::customer::v1::{
    CancelCustomerRequest, CreateCustomerRequest, Customer as CustomerResource, GetCustomerRequest,
    ListCustomersRequest, ListCustomersResponse, customer_service_server::CustomerService,
};
use contracts::role;
use engine::{Aggregate, Engine, FilterField, RequestKey, page_request};
use jumun_core::{Error, Time, declared, name::new_id, request_context::caller, request_context::run_to_completion};
use tonic::{Request, Response, Status};

use crate::{
    domain::{Customer, NOTIFICATION_UNCONFIRMED, State},
    reasons,
    registration_saga::{RegistrationSaga, unconfirmed},
};

const FILTER: &[FilterField] = &[FilterField::name("account"), FilterField::state::<State>()];

/// Serves `jumun.customer.v1.CustomerService`.
pub(crate) struct CustomerApi {
    pub(crate) customers: Engine<Customer>,
    pub(crate) registration_saga: RegistrationSaga,
}

#[tonic::async_trait]
impl CustomerService for CustomerApi {
    async fn create_customer(
        &self,
        request: Request<CreateCustomerRequest>,
    ) -> Result<Response<CustomerResource>, Status> {
        let request = request.into_inner();
        let requested = requested_customer(&request, self.customers.now())?;
        let key = declared(RequestKey::new("CreateCustomer", &request.request_id, &request))?;
        let registration_saga = self.registration_saga.clone();
        // Runs to completion, also when the caller disconnects.
        let customer = run_to_completion(async move { registration_saga.run(key, requested).await }).await?;
        Ok(Response::new(answer(&customer)?.resource()))
    }

    async fn get_customer(&self, request: Request<GetCustomerRequest>) -> Result<Response<CustomerResource>, Status> {
        let name = request.into_inner().name;
        Ok(Response::new(self.customers.get_named(&name).await?.resource()))
    }

    async fn list_customers(
        &self,
        request: Request<ListCustomersRequest>,
    ) -> Result<Response<ListCustomersResponse>, Status> {
        let request = request.into_inner();
        let page = page_request!(request);
        let (customers, next_page_token) = self.customers.list(page, FILTER).await?;
        let customers = customers.iter().map(Aggregate::resource).collect();
        Ok(Response::new(ListCustomersResponse { customers, next_page_token }))
    }

    async fn cancel_customer(
        &self,
        request: Request<CancelCustomerRequest>,
    ) -> Result<Response<CustomerResource>, Status> {
        let request = request.into_inner();
        let key = RequestKey::new("CancelCustomer", &request.request_id, &request);
        let now = self.customers.now();
        self.customers.command(&request.name, key, move |customer| customer.cancel(now)).await?.into_response()
    }
}

/// The answer to CreateCustomer, the first time and each time it is repeated.
fn answer(customer: &Customer) -> Result<Customer, Error> {
    if let Some(registered) = customer.as_registered() {
        return Ok(registered);
    }
    let name = customer.name();
    Err(match (customer.state, customer.state_reason.as_str()) {
        (State::Rejected, NOTIFICATION_UNCONFIRMED) => Error::new(
            &reasons::CUSTOMER_NOT_REGISTERED,
            "the welcome could not be confirmed, so the customer is not registered; repeat it with a new request_id",
        )
        .with("customer", name),
        (State::Rejected, refusal) => {
            Error::new(&reasons::CUSTOMER_NOT_REACHED, "the welcome was refused, so the customer is not registered")
                .with("refusal", refusal)
                .with("customer", name)
        }
        _ => unconfirmed(customer, &Status::unavailable("the welcome is being withdrawn")),
    })
}

/// Builds the requested customer.
fn requested_customer(request: &CreateCustomerRequest, now: Time) -> Result<Customer, Error> {
    let customer = declared(request.customer.as_ref())?;
    let id = new_id();
    Ok(Customer {
        account: if customer.account.is_empty() { default_account(&id) } else { customer.account.clone() },
        id,
        display_name: customer.display_name.clone(),
        address: customer.address.clone(),
        age: customer.age,
        phone: customer.phone.clone(),
        notifies_order_changes: customer.notifies_order_changes,
        state: State::Pending,
        state_reason: String::new(),
        create_time: now,
        registered_time: None,
        update_time: now,
    })
}

/// The account of the caller if the caller is a customer, otherwise the name of the registration.
fn default_account(id: &str) -> String {
    match caller().principal() {
        Some(principal) if principal.roles.contains(role::CUSTOMER) => principal.subject.clone(),
        _ => format!("customers/{id}"),
    }
}
