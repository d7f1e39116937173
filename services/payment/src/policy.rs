//! Whenever what is paid for comes to stand its payment is taken, and whenever it is withdrawn its payment is given back.

use std::sync::Arc;

use contracts::{
    enrollment::v1::{EnrollmentEvent, enrollment_event},
    order::v1::{OrderEvent, order_event},
};
use engine::{Decision, Engine};
use eventing::{EventEffect, Policy, decode};
use jumun_core::{Error, Time};

use crate::{
    domain::{Payment, payment_id},
    provider::PaymentProvider,
};

/// What an event says about something that is paid for, by its name.
pub(crate) enum Fate {
    /// It stands.
    Stands(String),
    /// It stood, and was withdrawn.
    Withdrawn(String),
}

/// What becomes of the payment when something becomes of what it pays for. The provider is told first: it knows a
/// repetition.
pub(crate) fn on_payable_event<E: prost::Message + Default + 'static>(
    payments: Engine<Payment>,
    provider: Arc<dyn PaymentProvider>,
    fate: fn(E) -> Option<Fate>,
) -> Policy<Payment> {
    Arc::new(move |message| {
        let (payments, provider) = (payments.clone(), provider.clone());
        Box::pin(async move {
            match fate(decode(&message)?) {
                Some(Fate::Stands(payable)) => {
                    let id = id_of(&payable)?;
                    provider.capture(&id).await?;
                    Ok(with_payment(id, payments.now(), Payment::capture))
                }
                Some(Fate::Withdrawn(payable)) => {
                    let id = id_of(&payable)?;
                    provider.refund(&id).await?;
                    Ok(with_payment(id, payments.now(), Payment::refund))
                }
                None => Ok(EventEffect::Ignore),
            }
        })
    })
}

/// A rejected order's payment was never held, or is void.
pub(crate) fn fate_of_order(event: OrderEvent) -> Option<Fate> {
    use order_event::Kind;
    match event.kind? {
        Kind::Placed(placed) => Some(Fate::Stands(placed.order)),
        Kind::Cancelled(cancelled) => Some(Fate::Withdrawn(cancelled.order)),
        Kind::Rejected(_) | Kind::Completed(_) => None,
    }
}

/// The same for an enrollment.
pub(crate) fn fate_of_enrollment(event: EnrollmentEvent) -> Option<Fate> {
    use enrollment_event::Kind;
    match event.kind? {
        Kind::Enrolled(enrolled) => Some(Fate::Stands(enrolled.enrollment)),
        Kind::Cancelled(cancelled) => Some(Fate::Withdrawn(cancelled.enrollment)),
        Kind::Rejected(_) | Kind::Completed(_) => None,
    }
}

fn id_of(payable: &str) -> Result<String, Error> {
    payment_id(payable).ok_or_else(|| Error::unreadable_event(format!("{payable} cannot be paid for")))
}

fn with_payment(
    id: String,
    now: Time,
    rule: fn(&Payment, Time) -> Result<Decision<Payment>, Error>,
) -> EventEffect<Payment> {
    let name = format!("payments/{id}");
    EventEffect::decide(id, move |payment| rule(payment.ok_or_else(|| Error::not_found(&name))?, now))
}
