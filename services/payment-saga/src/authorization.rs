//! The calls to payment, and what its answers mean.

use std::marker::PhantomData;

use contracts::payment::v1::{
    AuthorizePaymentRequest, GetPaymentRequest, Payment, VoidPaymentRequest, payment::State as PaymentState,
    payment_service_client::PaymentServiceClient,
};
use engine::{Decision, Query};
use jumun_core::{Error, Time, reason_of};
use rpc::Channel;
use saga::{ABANDONED_AFTER, RequestSaga, Saga};
use tonic::{Code, Response, Status};

use crate::{
    INVALID_PAYMENT_METHOD, PAYMENT_UNCONFIRMED, Payable, PaymentStatus,
    answer::{not_asked, unconfirmed},
};

/// The authorization of a payable's payment, over the channel to payment.
#[derive(Clone)]
pub(crate) struct Authorization<P> {
    payment: Channel,
    payable: PhantomData<P>,
}

/// What payment is known to have answered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// This payment holds the money.
    Authorized(String),
    /// The money is not held and never will be, for this reason.
    Refused(String),
    /// Payment knows no payment for the payable.
    NotFound,
}

/// What a payable waits for.
#[derive(PartialEq, Eq)]
pub(crate) enum Step {
    Authorizing,
    Voiding,
}

impl<P: Payable> Authorization<P> {
    pub(crate) fn new(payment: Channel) -> Self {
        Self { payment, payable: PhantomData }
    }

    fn client(&self) -> PaymentServiceClient<Channel> {
        PaymentServiceClient::new(self.payment.clone())
    }

    /// Authorizes the payment. The call is idempotent per payable, so it is repeated when there is no answer.
    async fn authorize(&self, payable: &P) -> Result<Outcome, Status> {
        let request = AuthorizePaymentRequest {
            payable: payable.name(),
            amount: Some(payable.amount().into()),
            payment_method: payable.payment_method().to_owned(),
            request_id: payable.id().to_owned(),
        };
        let call = |channel| {
            let request = request.clone();
            async move { PaymentServiceClient::new(channel).authorize_payment(request).await }
        };
        outcome_of_authorization(self.payment.call_idempotent(call).await.map(Response::into_inner))
    }

    /// Looks up the payable's payment.
    async fn look_up(&self, payable: &P) -> Result<Outcome, Status> {
        let request = GetPaymentRequest { name: format!("payments/{}-{}", P::KIND, payable.id()) };
        outcome_of_lookup(self.client().get_payment(request).await.map(Response::into_inner))
    }

    /// Voids the payment: nothing is held for the payable, now or later.
    async fn void(&self, payable: &P) -> Result<Outcome, Status> {
        let request = VoidPaymentRequest { payable: payable.name(), request_id: payable.id().to_owned() };
        self.client().void_payment(request).await?;
        Ok(Outcome::Refused(PAYMENT_UNCONFIRMED.to_owned()))
    }
}

impl<P: Payable> Saga for Authorization<P> {
    type Aggregate = P;
    type Outcome = Outcome;
    type Step = Step;

    fn step(payable: &P) -> Option<Step> {
        match payable.payment_status() {
            PaymentStatus::Pending => Some(Step::Authorizing),
            PaymentStatus::Voiding => Some(Step::Voiding),
            PaymentStatus::Rejected(_) | PaymentStatus::Confirmed => None,
        }
    }

    async fn ask(&self, payable: &P) -> Result<Outcome, Error> {
        let outcome = match payable.payment_status() {
            // The recovery finishes it.
            PaymentStatus::Voiding => Err(Status::unavailable("the payment is being voided")),
            _ => self.authorize(payable).await,
        };
        outcome.map_err(|status| unconfirmed(payable, &status))
    }

    async fn resolve(&self, payable: &P) -> Result<Option<Outcome>, Error> {
        let outcome = match payable.payment_status() {
            PaymentStatus::Voiding => self.void(payable).await,
            _ => self.look_up(payable).await,
        };
        outcome.map(Some).map_err(|status| unconfirmed(payable, &status))
    }

    fn apply(payable: &P, outcome: &Outcome, now: Time) -> Result<Decision<P>, Error> {
        match outcome {
            Outcome::Authorized(payment) => payable.confirm(payment, now),
            Outcome::Refused(reason) => payable.reject(reason, now),
            // After this commit it cannot be confirmed any more, so its payment can be voided.
            Outcome::NotFound => payable.start_voiding(now),
        }
    }

    fn unsettled(now: Time) -> Query {
        let unsettled = Query::new().is_any("state", &["PENDING", "VOIDING"]);
        unsettled.before("update_time", now - ABANDONED_AFTER).order_by("update_time")
    }
}

impl<P: Payable> RequestSaga for Authorization<P> {
    fn channel(&self) -> &Channel {
        &self.payment
    }

    fn not_asked(&self, circuit_open: &Error) -> Error {
        not_asked::<P>(circuit_open)
    }
}

/// What an answer to AuthorizePayment means; an error leaves the outcome unknown.
pub(crate) fn outcome_of_authorization(answer: Result<Payment, Status>) -> Result<Outcome, Status> {
    let status = match answer {
        Ok(payment) => return outcome(&payment),
        Err(status) => status,
    };
    match (status.code(), reason_of(&status).as_str()) {
        (Code::InvalidArgument, _) => Ok(Outcome::Refused(INVALID_PAYMENT_METHOD.to_owned())),
        (Code::FailedPrecondition, "PAYMENT_VOIDED") => Ok(Outcome::Refused(PAYMENT_UNCONFIRMED.to_owned())),
        _ => Err(status),
    }
}

/// What an answer to GetPayment means; an error leaves the outcome unknown.
pub(crate) fn outcome_of_lookup(answer: Result<Payment, Status>) -> Result<Outcome, Status> {
    match answer {
        Ok(payment) => outcome(&payment),
        Err(status) if status.code() == Code::NotFound => Ok(Outcome::NotFound),
        Err(status) => Err(status),
    }
}

fn outcome(payment: &Payment) -> Result<Outcome, Status> {
    match payment.state() {
        PaymentState::Authorized | PaymentState::Captured => Ok(Outcome::Authorized(payment.name.clone())),
        PaymentState::Declined => Ok(Outcome::Refused(payment.decline_reason.clone())),
        PaymentState::Voided | PaymentState::Refunded => Ok(Outcome::Refused(PAYMENT_UNCONFIRMED.to_owned())),
        PaymentState::Unspecified => Err(Status::unknown("payment answered without a state")),
    }
}
