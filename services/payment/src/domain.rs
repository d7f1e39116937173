//! The rules of a payment. Pure: no database, no network, no clock.

#[cfg(test)]
mod tests;

use contracts::payment::v1::{self as pb, payment_event::Kind};
use engine::{Aggregate, Decision, StateName};
use jumun_core::{Error, Money, Time};

use crate::{provider::Verdict, reasons};

engine::states! {
    /// The state of a payment; the diagram is at the top of the crate.
    pub enum State: pb::payment::State {
        Authorized,
        Declined,
        Captured,
        Voided,
        Refunded,
    }
}

/// The payment of one payable.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Payment {
    pub id: String,
    pub payable: String,
    /// None on a tombstone that no authorization preceded.
    pub amount: Option<Money>,
    pub payment_method: String,
    /// Distinguishes a repeated authorization from another one.
    pub fingerprint: String,
    pub state: State,
    pub decline_reason: String,
    pub create_time: Time,
    pub update_time: Time,
}

/// The id of a payable's one payment: `orders/{uuid}` is paid by `payments/order-{uuid}`.
pub(crate) fn payment_id(payable: &str) -> Option<String> {
    let (collection, id) = payable.split_once('/')?;
    Some(format!("{}-{id}", collection.strip_suffix('s')?))
}

impl Payment {
    /// `payments/{id}`.
    pub fn name(&self) -> String {
        format!("payments/{}", self.id)
    }

    /// Records the provider's verdict on a requested authorization. A repetition changes nothing, and one that arrives
    /// after the payment was voided is refused.
    pub(crate) fn authorize(
        existing: Option<&Payment>,
        requested: &Payment,
        verdict: &Verdict,
    ) -> Result<Decision<Payment>, Error> {
        match existing {
            Some(payment) if payment.state == State::Voided => Err(payment_voided(&payment.payable)),
            Some(payment) if payment.fingerprint == requested.fingerprint => Ok(Decision::Leave),
            Some(payment) => Err(Error::new(
                &reasons::PAYABLE_HAS_PAYMENT,
                format!("{} already has a different payment, {}", payment.payable, payment.name()),
            )),
            None => match verdict {
                Verdict::Approved => {
                    let payment = Payment { state: State::Authorized, ..requested.clone() };
                    payment.announce(Kind::Authorized(pb::PaymentAuthorized {}))
                }
                Verdict::Declined(reason) => {
                    let payment =
                        Payment { state: State::Declined, decline_reason: reason.clone(), ..requested.clone() };
                    payment.announce(Kind::Declined(pb::PaymentDeclined { reason: reason.clone() }))
                }
            },
        }
    }

    /// The payable was confirmed, so the money is captured.
    pub(crate) fn capture(&self, now: Time) -> Result<Decision<Payment>, Error> {
        match self.state {
            State::Authorized => self.with_state(State::Captured, now).announce(Kind::Captured(pb::PaymentCaptured {})),
            State::Captured | State::Refunded => Ok(Decision::Leave),
            state @ (State::Declined | State::Voided) => {
                Err(Error::new(&reasons::PAYMENT_NOT_HELD, format!("{} is {}", self.name(), state.name())))
            }
        }
    }

    /// Voids the payment: nothing is held for the payable, now or later.
    pub(crate) fn void(existing: Option<&Payment>, tombstone: &Payment) -> Result<Decision<Payment>, Error> {
        match existing {
            None => tombstone.clone().announce(Kind::Voided(pb::PaymentVoided {})),
            Some(payment) => match payment.state {
                State::Authorized => payment
                    .with_state(State::Voided, tombstone.create_time)
                    .announce(Kind::Voided(pb::PaymentVoided {})),
                State::Declined | State::Voided => Ok(Decision::Leave),
                State::Captured | State::Refunded => Err(Error::new(
                    &reasons::PAYMENT_CAPTURED,
                    format!("{} is captured already; refund it", payment.name()),
                )),
            },
        }
    }

    /// The payable was cancelled, so the money is refunded.
    pub(crate) fn refund(&self, now: Time) -> Result<Decision<Payment>, Error> {
        match self.state {
            State::Captured => self.with_state(State::Refunded, now).announce(Kind::Refunded(pb::PaymentRefunded {})),
            State::Refunded => Ok(Decision::Leave),
            state => Err(Error::new(
                &reasons::PAYMENT_NOT_CAPTURED,
                format!("{} is {}, so there is nothing to refund", self.name(), state.name()),
            )
            .with("state", state.name())),
        }
    }

    /// The answer to AuthorizePayment: the payment as it was when it was authorized, whatever its state is now.
    pub(crate) fn as_authorized(&self) -> Payment {
        let state = if self.state == State::Declined { State::Declined } else { State::Authorized };
        Payment { state, update_time: self.create_time, ..self.clone() }
    }

    fn with_state(&self, state: State, now: Time) -> Payment {
        Payment { state, update_time: now, ..self.clone() }
    }

    fn announce(self, kind: Kind) -> Result<Decision<Payment>, Error> {
        let event =
            pb::PaymentEvent { payable: self.payable.clone(), amount: self.amount.map(Into::into), kind: Some(kind) };
        Decision::announce(self, event)
    }
}

/// The error of an authorization that finds a tombstone.
pub(crate) fn payment_voided(payable: &str) -> Error {
    Error::new(&reasons::PAYMENT_VOIDED, format!("the payment of {payable} was voided"))
}

impl Aggregate for Payment {
    type Event = pb::PaymentEvent;
    type Resource = pb::Payment;

    fn id(&self) -> &str {
        &self.id
    }

    fn resource(&self) -> pb::Payment {
        pb::Payment {
            name: self.name(),
            payable: self.payable.clone(),
            amount: self.amount.map(Into::into),
            payment_method: self.payment_method.clone(),
            state: self.state.into(),
            decline_reason: self.decline_reason.clone(),
            create_time: Some(self.create_time.to_timestamp()),
            update_time: Some(self.update_time.to_timestamp()),
        }
    }
}
