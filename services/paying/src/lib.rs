//! Paying: the protocol that leaves nothing unpaid standing and no charge without what it is for.
//!
//! It exists once. A context whose aggregate stands only when it is paid implements [`Payable`] and makes a [`Paying`]
//! of its engine; payment's contract is all that is known here besides.
//!
//! The outcome of a call to payment can be unknown, and then it is never guessed: the payable stays PENDING, the caller
//! is told to ask again, and the recovery asks payment what became of it. What payment does not know is voided, behind
//! a tombstone that a late authorization meets. Money is safe because of the order of commits: PENDING before payment is
//! asked, VOIDING before it is told to void, and standing only from PENDING.
//!
//! While payment is known not to answer (the circuit to it is open), nothing is written down and nobody is asked: there
//! is nothing to recover then. What is written down already is never rejected for that reason alone, because another
//! call for the same request may be asking payment at this moment; its end is the recovery's.
//!
//! ```text
//!            held
//! PENDING ─────────▶ stands
//!  │    │ refused
//!  │    └─────────▶ REJECTED ◀── voided ──┐
//!  └──▶ VOIDING ──────────────────────────┘   payment's answer was never learnt
//! ```

mod payable;
pub mod reasons;
mod telling;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use contracts::payment::v1::{
    AuthorizePaymentRequest, GetPaymentRequest, Payment, VoidPaymentRequest, payment::State as PaymentState,
    payment_service_client::PaymentServiceClient,
};
use kit::{Channel, Decision, Engine, Error, MAX_OUTGOING_CALL, RequestKey, Time, Unit, reason_of, recovery};
use tonic::{Code, Response, Status};

pub use payable::{INVALID_PAYMENT_METHOD, PAYMENT_UNCONFIRMED, Payable, Standing};
use telling::{answer, not_asked, unconfirmed};

/// The context that is called.
pub const CALLS: &str = "payment";

/// How often what is without payment's word is looked for.
const RECOVERY_INTERVAL: Duration = Duration::from_secs(1);
/// A payable may wait for payment's answer so long before it counts as abandoned: longer than any call may take.
const ABANDONED_AFTER: Duration = Duration::from_secs(5);
const _: () = assert!(ABANDONED_AFTER.as_millis() > 2 * MAX_OUTGOING_CALL.as_millis());
/// Payables recovered in one round, and at once.
const MAX_RECOVERED: usize = 1024;
const RECOVERED_AT_ONCE: usize = 64;

/// Brings one context's payables to payment.
pub struct Paying<P: Payable> {
    payables: Engine<P>,
    payments: PaymentServiceClient<Channel>,
    /// The same way, to ask about it.
    to_payment: Channel,
}

impl<P: Payable> Clone for Paying<P> {
    fn clone(&self) -> Self {
        Self { payables: self.payables.clone(), payments: self.payments.clone(), to_payment: self.to_payment.clone() }
    }
}

/// What payment is known to have said.
#[derive(Debug, PartialEq, Eq)]
enum Word {
    /// The money is held, by this payment.
    Held(String),
    /// The money is not held, and never will be; for this reason.
    Refused(String),
    /// It knows of no payment.
    Nothing,
}

impl<P: Payable> Paying<P> {
    /// Finds the way to payment, and starts the recovery of what was interrupted.
    pub fn new(unit: &mut Unit<'_>, payables: &Engine<P>) -> anyhow::Result<Self> {
        let to_payment = unit.channel(CALLS)?;
        let payments = PaymentServiceClient::new(to_payment.clone());
        let paying = Self { payables: payables.clone(), payments, to_payment };
        let recovering = paying.clone();
        unit.every(RECOVERY_INTERVAL, "payment-recovery", move || {
            let paying = recovering.clone();
            async move { paying.recover().await }
        });
        Ok(paying)
    }

    /// Writes the payable down, asks payment, and answers with the payable as it came to stand, or why it does not.
    /// Repeated, it goes on where it stopped.
    pub async fn make(&self, request: RequestKey, requested: P) -> Result<P, Error> {
        if let Err(closed) = self.to_payment.check()
            && !self.payables.remembers(&request).await?
        {
            return Err(not_asked::<P>(&closed));
        }
        let payable = self.payables.create(request, requested).await?;
        if payable.standing() != Standing::Pending {
            return answer(&*payable);
        }
        let word = self.authorize(&payable).await.map_err(|status| unconfirmed(&*payable, &status))?;
        answer(&*self.follow(&payable, word).await?)
    }

    /// Asks payment to hold the money. It is idempotent per payable, so it is asked again when it does not answer.
    async fn authorize(&self, payable: &P) -> Result<Word, Status> {
        let request = AuthorizePaymentRequest {
            payable: payable.name(),
            amount: Some(payable.amount().to_wire()),
            payment_method: payable.payment_method().to_owned(),
            request_id: payable.id().to_owned(),
        };
        let ask = |channel| {
            let request = request.clone();
            async move { PaymentServiceClient::new(channel).authorize_payment(request).await }
        };
        word_of_authorization(self.to_payment.call_idempotent(ask).await.map(Response::into_inner))
    }

    /// Does what payment's word means for the payable.
    async fn follow(&self, payable: &P, word: Word) -> Result<Arc<P>, Error> {
        match word {
            Word::Held(payment) => self.decide(payable, move |payable, now| payable.stand(&payment, now)).await,
            Word::Refused(reason) => self.decide(payable, move |payable, now| payable.reject(&reason, now)).await,
            Word::Nothing => {
                // From this commit on nobody makes it stand any more, so its payment can be voided.
                let payable = self.decide(payable, P::give_up).await?;
                let is_given_up = payable.standing() == Standing::Voiding;
                // Rare and large: kept out of every payable's way.
                if is_given_up { Box::pin(self.void(&payable)).await } else { Ok(payable) }
            }
        }
    }

    /// Makes sure that nothing is held for a payable that is given up, then rejects it.
    async fn void(&self, payable: &P) -> Result<Arc<P>, Error> {
        let request = VoidPaymentRequest { payable: payable.name(), request_id: payable.id().to_owned() };
        self.payments.clone().void_payment(request).await.map_err(|status| unconfirmed(payable, &status))?;
        self.decide(payable, |payable, now| payable.reject(PAYMENT_UNCONFIRMED, now)).await
    }

    async fn decide(
        &self,
        payable: &P,
        mut rule: impl FnMut(&P, Time) -> Result<Decision<P>, Error> + Send + 'static,
    ) -> Result<Arc<P>, Error> {
        let now = self.payables.now();
        let done = self.payables.command(&payable.name(), None, move |payable| rule(payable, now)).await?;
        done.state.ok_or_else(|| Error::internal("a payable was decided upon and is not there"))
    }

    /// Brings every payable to an end that waits for payment's word longer than any call takes.
    async fn recover(&self) -> Result<(), Error> {
        let before = self.payables.now() - ABANDONED_AFTER;
        let condition = "state IN ('PENDING', 'VOIDING') AND update_time < ? ORDER BY update_time";
        let abandoned = self.payables.find(condition, vec![before.0.into()], MAX_RECOVERED).await?;
        if !abandoned.is_empty() {
            tracing::info!(table = P::TABLE.name, count = abandoned.len(), "asking payment about what was abandoned");
        }
        let end = async |payable: P| self.bring_to_an_end(&payable).await;
        recovery::bring_to_an_end(abandoned, RECOVERED_AT_ONCE, end).await
    }

    async fn bring_to_an_end(&self, payable: &P) -> Result<(), Error> {
        if payable.standing() == Standing::Voiding {
            return self.void(payable).await.map(drop);
        }
        let word = self.ask(payable).await.map_err(|status| unconfirmed(payable, &status))?;
        self.follow(payable, word).await.map(drop)
    }

    /// Asks payment what became of a payable's payment.
    async fn ask(&self, payable: &P) -> Result<Word, Status> {
        let request = GetPaymentRequest { name: format!("payments/{}-{}", P::WORD, payable.id()) };
        word_of_question(self.payments.clone().get_payment(request).await.map(Response::into_inner))
    }
}

/// What payment said when it was to hold the money; an error leaves it open.
fn word_of_authorization(answer: Result<Payment, Status>) -> Result<Word, Status> {
    let status = match answer {
        Ok(payment) => return word(&payment),
        Err(status) => status,
    };
    match (status.code(), reason_of(&status).as_str()) {
        (Code::InvalidArgument, _) => Ok(Word::Refused(INVALID_PAYMENT_METHOD.to_owned())),
        (Code::FailedPrecondition, "PAYMENT_VOIDED") => Ok(Word::Refused(PAYMENT_UNCONFIRMED.to_owned())),
        _ => Err(status),
    }
}

/// What payment said when it was asked what became of it; an error leaves it open.
fn word_of_question(answer: Result<Payment, Status>) -> Result<Word, Status> {
    match answer {
        Ok(payment) => word(&payment),
        Err(status) if status.code() == Code::NotFound => Ok(Word::Nothing),
        Err(status) => Err(status),
    }
}

fn word(payment: &Payment) -> Result<Word, Status> {
    match payment.state() {
        PaymentState::Authorized | PaymentState::Captured => Ok(Word::Held(payment.name.clone())),
        PaymentState::Declined => Ok(Word::Refused(payment.decline_reason.clone())),
        PaymentState::Voided | PaymentState::Refunded => Ok(Word::Refused(PAYMENT_UNCONFIRMED.to_owned())),
        PaymentState::Unspecified => Err(Status::unknown("payment answered without a state")),
    }
}
