//! Order → payment: the protocol that leaves no unpaid order standing and no charge without its order.
//!
//! The outcome of a call to payment can be unknown, and then it is never guessed: the order stays PENDING, the caller
//! is told to ask again, and the recovery asks payment what became of it. What payment does not know is voided, behind
//! a tombstone that a late authorization meets. Money is safe because of the order of commits: PENDING before payment is
//! asked, VOIDING before it is told to void, and PLACED only from PENDING.
//!
//! While payment is known not to answer (the circuit to it is open), nothing is written down and nobody is asked: there
//! is nothing to recover then. What is written down already is never rejected for that reason alone, because another
//! call for the same request may be asking payment at this moment; its end is the recovery's.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use contracts::payment::v1::{
    AuthorizePaymentRequest, GetPaymentRequest, Payment, VoidPaymentRequest, payment::State as PaymentState,
    payment_service_client::PaymentServiceClient,
};
use futures::{StreamExt, future::ready, stream};
use kit::{Channel, Decision, Engine, Error, MAX_OUTGOING_CALL, RequestKey, reason_of};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::{
    domain::{Order, State, reason},
    reasons,
};

/// An order may wait for payment's answer so long before it counts as abandoned: longer than any call may take.
const ABANDONED_AFTER: Duration = Duration::from_secs(5);
const _: () = assert!(ABANDONED_AFTER.as_millis() > 2 * MAX_OUTGOING_CALL.as_millis());
/// Orders recovered in one round, and at once.
const MAX_RECOVERED: usize = 1024;
const RECOVERED_AT_ONCE: usize = 64;
/// How often payment is asked to authorize, when it is away, before the caller is told so. Nobody else repeats that
/// call, and the budget of retries decides whether it is repeated at all.
const MAX_ATTEMPTS: usize = 2;
const ATTEMPT_PAUSE: Duration = Duration::from_millis(50);

/// Brings orders to payment.
#[derive(Clone)]
pub(crate) struct Placing {
    pub(crate) orders: Engine<Order>,
    pub(crate) payments: PaymentServiceClient<Channel>,
    /// The same way, to ask about it.
    pub(crate) to_payment: Channel,
}

/// What payment is known to have said.
enum Word {
    /// The money is held, by this payment.
    Held(String),
    /// The money is not held, and never will be; for this reason.
    Refused(String),
    /// It knows of no payment.
    Nothing,
}

impl Placing {
    /// Writes the order down, asks payment, and answers with what the order then is. Repeated, it goes on where it stopped.
    pub(crate) async fn place(&self, request: RequestKey, requested: Order) -> Result<Arc<Order>, Error> {
        if let Err(closed) = self.to_payment.check()
            && !self.orders.remembers(&request).await?
        {
            return Err(not_asked(&closed));
        }
        let order = self.orders.create(request, requested).await?;
        if order.state != State::Pending {
            return Ok(order);
        }
        let word = self.authorize(&order).await.map_err(|status| unconfirmed(&order, &status))?;
        self.follow(&order, word).await
    }

    /// Asks payment to hold the money. It is idempotent per order, so it is asked a second time when it is away.
    async fn authorize(&self, order: &Order) -> Result<Word, Status> {
        let request = AuthorizePaymentRequest {
            payable: order.name(),
            amount: Some(order.total.to_wire()),
            payment_method: order.payment_method.clone(),
            request_id: order.id.clone(),
        };
        let mut attempts = 0;
        let answer = loop {
            attempts += 1;
            match self.payments.clone().authorize_payment(request.clone()).await {
                Err(status) if attempts < MAX_ATTEMPTS && self.to_payment.may_retry(&status) => {
                    // The connection that just broke is still being replaced.
                    tokio::time::sleep(ATTEMPT_PAUSE).await;
                }
                answer => break answer,
            }
        };
        match answer {
            Ok(payment) => word(&payment.into_inner()),
            Err(status) => match (status.code(), reason_of(&status).as_str()) {
                (Code::InvalidArgument, _) => Ok(Word::Refused(reason::INVALID_PAYMENT_METHOD.to_owned())),
                (Code::FailedPrecondition, "PAYMENT_VOIDED") => {
                    Ok(Word::Refused(reason::PAYMENT_UNCONFIRMED.to_owned()))
                }
                _ => Err(status),
            },
        }
    }

    /// Does what payment's word means for the order.
    async fn follow(&self, order: &Order, word: Word) -> Result<Arc<Order>, Error> {
        match word {
            Word::Held(payment) => self.decide(order, move |order, now| order.place(&payment, now)).await,
            Word::Refused(reason) => self.decide(order, move |order, now| order.reject(&reason, now)).await,
            Word::Nothing => {
                // From this commit on nobody places it any more, so its payment can be voided.
                let order = self.decide(order, Order::give_up).await?;
                // Rare and large: kept out of every order's way.
                if order.state == State::Voiding { Box::pin(self.void(&order)).await } else { Ok(order) }
            }
        }
    }

    /// Makes sure that nothing is held for an order that is given up, then rejects it.
    async fn void(&self, order: &Order) -> Result<Arc<Order>, Error> {
        let request = VoidPaymentRequest { payable: order.name(), request_id: order.id.clone() };
        self.payments.clone().void_payment(request).await.map_err(|status| unconfirmed(order, &status))?;
        self.decide(order, |order, now| order.reject(reason::PAYMENT_UNCONFIRMED, now)).await
    }

    async fn decide(
        &self,
        order: &Order,
        mut rule: impl FnMut(&Order, kit::Time) -> Result<Decision<Order>, Error> + Send + 'static,
    ) -> Result<Arc<Order>, Error> {
        let now = self.orders.now();
        existing(self.orders.command(&order.name(), None, move |order| rule(order, now)).await?.state)
    }

    /// Brings every order to an end that waits for payment's word longer than any call takes.
    pub(crate) async fn recover(&self) -> Result<(), Error> {
        let before = self.orders.now() - ABANDONED_AFTER;
        let condition = "state IN ('PENDING', 'VOIDING') AND update_time < ? ORDER BY update_time";
        let abandoned = self.orders.find(condition, vec![before.0.into()], MAX_RECOVERED).await?;
        if !abandoned.is_empty() {
            tracing::info!(orders = abandoned.len(), "asking payment about abandoned orders");
        }
        // The first failure ends the round: payment is away, and asking on would only be a storm. What has begun is
        // finished, or a circuit that lets a few calls through, to see, would never see one answered.
        let failure = OnceLock::new();
        stream::iter(abandoned)
            .take_while(|_| ready(failure.get().is_none()))
            .for_each_concurrent(RECOVERED_AT_ONCE, async |order| {
                if let Err(error) = self.bring_to_an_end(&order).await {
                    // Another came first, and says the same.
                    let _ = failure.set(error);
                }
            })
            .await;
        failure.into_inner().map_or(Ok(()), Err)
    }

    async fn bring_to_an_end(&self, order: &Order) -> Result<(), Error> {
        if order.state == State::Voiding {
            return self.void(order).await.map(drop);
        }
        let word = self.ask(order).await.map_err(|status| unconfirmed(order, &status))?;
        self.follow(order, word).await.map(drop)
    }

    /// Asks payment what became of an order's payment.
    async fn ask(&self, order: &Order) -> Result<Word, Status> {
        let request = GetPaymentRequest { name: format!("payments/order-{}", order.id) };
        match self.payments.clone().get_payment(request).await {
            Ok(payment) => word(&payment.into_inner()),
            Err(status) if status.code() == Code::NotFound => Ok(Word::Nothing),
            Err(status) => Err(status),
        }
    }
}

fn existing(order: Option<Arc<Order>>) -> Result<Arc<Order>, Error> {
    order.ok_or_else(|| Error::internal("an order was decided upon and is not there"))
}

fn word(payment: &Payment) -> Result<Word, Status> {
    match payment.state() {
        PaymentState::Authorized | PaymentState::Captured => Ok(Word::Held(payment.name.clone())),
        PaymentState::Declined => Ok(Word::Refused(payment.decline_reason.clone())),
        PaymentState::Voided | PaymentState::Refunded => Ok(Word::Refused(reason::PAYMENT_UNCONFIRMED.to_owned())),
        PaymentState::Unspecified => Err(Status::unknown("payment answered without a state")),
    }
}

/// What the caller is told when payment is not asked, because it does not answer anybody at present.
fn not_asked(closed: &Error) -> Error {
    let message = "payment does not answer at present, so it was not asked and no order was made; repeat the request";
    let error = Error::new(&reasons::PAYMENT_UNAVAILABLE, message);
    match closed.retry_after {
        Some(wait) => error.retry_after(wait),
        None => error,
    }
}

/// What the caller is told while it is unknown whether the money is held.
pub(crate) fn unconfirmed(order: &Order, status: &Status) -> Error {
    tracing::debug!(order = order.id, %status, "payment unconfirmed");
    let error = match status.code() {
        Code::ResourceExhausted => {
            let error = Error::new(&reasons::PAYMENT_OVERLOADED, "payment is overloaded; repeat the request");
            match status.get_details_retry_info().and_then(|info| info.retry_delay) {
                Some(delay) => error.retry_after(delay),
                None => error,
            }
        }
        Code::DeadlineExceeded => Error::new(
            &reasons::PAYMENT_TIMED_OUT,
            "payment did not answer in time; repeat the request to learn what became of it",
        ),
        _ => Error::new(
            &reasons::PAYMENT_UNAVAILABLE,
            "payment cannot be reached; repeat the request to learn what became of it",
        ),
    };
    error.with("order", order.name())
}
