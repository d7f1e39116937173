//! Captures the payment when its payable is confirmed, and refunds it when the payable is cancelled.

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

/// What an event of a payable requires of its payment; with the name of the payable.
pub(crate) enum Operation {
    /// It was confirmed.
    Capture(String),
    /// It was confirmed, and then cancelled.
    Refund(String),
}

/// Applies the events of a payable. The provider is called before the commit; its calls are idempotent.
pub(crate) fn on_payable_event<E: prost::Message + Default + 'static>(
    payments: Engine<Payment>,
    provider: Arc<dyn PaymentProvider>,
    operation: fn(E) -> Option<Operation>,
) -> Policy<Payment> {
    Arc::new(move |message| {
        let (payments, provider) = (payments.clone(), provider.clone());
        Box::pin(async move {
            match operation(decode(&message)?) {
                Some(Operation::Capture(payable)) => {
                    let id = id_of(&payable)?;
                    provider.capture(&id).await?;
                    Ok(with_payment(id, payments.now(), Payment::capture))
                }
                Some(Operation::Refund(payable)) => {
                    let id = id_of(&payable)?;
                    provider.refund(&id).await?;
                    Ok(with_payment(id, payments.now(), Payment::refund))
                }
                None => Ok(EventEffect::Ignore),
            }
        })
    })
}

/// What an event of an order requires. A rejected order requires nothing: its payment was not authorized, or is voided.
pub(crate) fn order_operation(event: OrderEvent) -> Option<Operation> {
    use order_event::Kind;
    match event.kind? {
        Kind::Placed(placed) => Some(Operation::Capture(placed.order)),
        Kind::Cancelled(cancelled) => Some(Operation::Refund(cancelled.order)),
        Kind::Rejected(_) | Kind::Completed(_) => None,
    }
}

/// What an event of an enrollment requires, as for an order.
pub(crate) fn enrollment_operation(event: EnrollmentEvent) -> Option<Operation> {
    use enrollment_event::Kind;
    match event.kind? {
        Kind::Enrolled(enrolled) => Some(Operation::Capture(enrolled.enrollment)),
        Kind::Cancelled(cancelled) => Some(Operation::Refund(cancelled.enrollment)),
        Kind::Rejected(_) | Kind::Completed(_) => None,
    }
}

fn id_of(payable: &str) -> Result<String, Error> {
    payment_id(payable).ok_or_else(|| Error::unreadable_event(format!("{payable} is not a payable")))
}

fn with_payment(
    id: String,
    now: Time,
    rule: fn(&Payment, Time) -> Result<Decision<Payment>, Error>,
) -> EventEffect<Payment> {
    let name = format!("payments/{id}");
    EventEffect::decide(id, move |payment| rule(payment.ok_or_else(|| Error::not_found(&name))?, now))
}
