//! The gRPC API of the payment context.

use std::sync::Arc;

use contracts::payment::v1::{
    AuthorizePaymentRequest, GetPaymentRequest, ListPaymentsRequest, ListPaymentsResponse, Payment as PaymentResource,
    RefundPaymentRequest, VoidPaymentRequest, payment_service_server::PaymentService,
};
use engine::{Aggregate, Engine, FilterField, RequestKey, page_request};
use jumun_core::{Error, Money, Time, Violations, declared, name::fingerprint, request_context::run_to_completion};
use tonic::{Request, Response, Status};

use crate::{
    domain::{Payment, State, payment_id},
    provider::PaymentProvider,
};

const FILTER: &[FilterField] = &[FilterField::name("payable"), FilterField::state::<State>()];

/// Serves `jumun.payment.v1.PaymentService`.
#[derive(Clone)]
pub(crate) struct PaymentApi {
    pub(crate) payments: Engine<Payment>,
    pub(crate) provider: Arc<dyn PaymentProvider>,
}

impl PaymentApi {
    async fn authorize(&self, request: &AuthorizePaymentRequest) -> Result<Payment, Error> {
        let (requested, amount) = requested_payment(request, self.payments.now())?;
        let id = requested.id.clone();
        let verdict = self.provider.authorize(&id, amount, &requested.payment_method).await?;
        let rule = move |payment: Option<&Payment>| Payment::authorize(payment, &requested, &verdict);
        let payment = self.payments.begin(id, rule).await?.state;
        payment
            .map(|payment| payment.as_authorized())
            .ok_or_else(|| Error::internal("an authorized payment is missing"))
    }

    /// Calls the provider before the commit: after a crash in between, the caller repeats the request.
    async fn void(&self, request: &VoidPaymentRequest) -> Result<Response<PaymentResource>, Status> {
        let id = declared(payment_id(&request.payable))?;
        let tombstone = tombstone(id.clone(), &request.payable, self.payments.now());
        let key = RequestKey::new("VoidPayment", &request.request_id, request);
        self.provider.void(&id).await?;
        let rule = move |payment: Option<&Payment>| Payment::void(payment, &tombstone);
        self.payments.execute(id, key, rule).await?.into_response()
    }

    async fn refund(&self, request: &RefundPaymentRequest) -> Result<Response<PaymentResource>, Status> {
        let key = RequestKey::new("RefundPayment", &request.request_id, request);
        // A payment that does not exist is reported here, because the error of the provider would be less specific.
        let payment = self.payments.get_named(&request.name).await?;
        let now = self.payments.now();
        // A payment that cannot be refunded is refused before the provider is called.
        payment.refund(now)?;
        self.provider.refund(&payment.id).await?;
        self.payments.command(&request.name, key, move |payment| payment.refund(now)).await?.into_response()
    }
}

#[tonic::async_trait]
impl PaymentService for PaymentApi {
    async fn authorize_payment(
        &self,
        request: Request<AuthorizePaymentRequest>,
    ) -> Result<Response<PaymentResource>, Status> {
        let (api, request) = (self.clone(), request.into_inner());
        // Runs to completion, also when the caller disconnects.
        let payment = run_to_completion(async move { api.authorize(&request).await }).await?;
        Ok(Response::new(payment.resource()))
    }

    async fn void_payment(&self, request: Request<VoidPaymentRequest>) -> Result<Response<PaymentResource>, Status> {
        let (api, request) = (self.clone(), request.into_inner());
        run_to_completion(async move { api.void(&request).await }).await
    }

    async fn refund_payment(
        &self,
        request: Request<RefundPaymentRequest>,
    ) -> Result<Response<PaymentResource>, Status> {
        let (api, request) = (self.clone(), request.into_inner());
        run_to_completion(async move { api.refund(&request).await }).await
    }

    async fn get_payment(&self, request: Request<GetPaymentRequest>) -> Result<Response<PaymentResource>, Status> {
        let name = request.into_inner().name;
        Ok(Response::new(self.payments.get_named(&name).await?.resource()))
    }

    async fn list_payments(
        &self,
        request: Request<ListPaymentsRequest>,
    ) -> Result<Response<ListPaymentsResponse>, Status> {
        let request = request.into_inner();
        let page = page_request!(request);
        let (payments, next_page_token) = self.payments.list(page, FILTER).await?;
        let payments = payments.iter().map(Aggregate::resource).collect();
        Ok(Response::new(ListPaymentsResponse { payments, next_page_token }))
    }
}

/// Builds the requested payment, and checks what its proto cannot declare.
fn requested_payment(request: &AuthorizePaymentRequest, now: Time) -> Result<(Payment, Money), Error> {
    let mut violations = Violations::default();
    let amount = violations.take("amount", Money::try_from(declared(request.amount.as_ref())?));
    violations.require(amount.is_none_or(|amount| amount.minor() > 0), "amount", "must be more than zero");
    violations.into_result()?;
    let amount = declared(amount)?;
    let payment = Payment {
        id: declared(payment_id(&request.payable))?,
        payable: request.payable.clone(),
        amount: Some(amount),
        payment_method: request.payment_method.clone(),
        // One payable has one payment, whatever the `request_id`.
        fingerprint: fingerprint(&AuthorizePaymentRequest { request_id: String::new(), ..request.clone() }),
        state: State::Authorized,
        decline_reason: String::new(),
        create_time: now,
        update_time: now,
    };
    Ok((payment, amount))
}

fn tombstone(id: String, payable: &str, now: Time) -> Payment {
    Payment {
        id,
        payable: payable.to_owned(),
        amount: None,
        payment_method: String::new(),
        fingerprint: String::new(),
        state: State::Voided,
        decline_reason: String::new(),
        create_time: now,
        update_time: now,
    }
}
