//! Whenever an order is placed its payment is taken, and whenever one is cancelled its payment is given back.

use std::sync::Arc;

use contracts::order::v1::{OrderEvent, order_event::Kind};
use kit::{Decision, Engine, Error, Policy, Reaction, Time, consumer::decode};

use crate::{
    domain::{Payment, payment_id},
    provider::PaymentProvider,
};

/// What becomes of the payment when something becomes of the order. The provider is told first: it knows a repetition.
pub(crate) fn on_order_event(payments: Engine<Payment>, provider: Arc<dyn PaymentProvider>) -> Policy<Payment> {
    Arc::new(move |message| {
        let (payments, provider) = (payments.clone(), provider.clone());
        Box::pin(async move {
            match decode::<OrderEvent>(&message)?.kind {
                Some(Kind::Placed(placed)) => {
                    let id = id_of(&placed.order)?;
                    provider.capture(&id).await?;
                    Ok(with_payment(id, payments.now(), Payment::capture))
                }
                Some(Kind::Cancelled(cancelled)) => {
                    let id = id_of(&cancelled.order)?;
                    provider.refund(&id).await?;
                    Ok(with_payment(id, payments.now(), Payment::refund))
                }
                // A rejected order's payment was never held, or is void.
                Some(Kind::Rejected(_) | Kind::Completed(_)) | None => Ok(Reaction::Ignore),
            }
        })
    })
}

fn id_of(payable: &str) -> Result<String, Error> {
    payment_id(payable).ok_or_else(|| Error::unreadable_event(format!("{payable} cannot be paid for")))
}

fn with_payment(
    id: String,
    now: Time,
    rule: fn(&Payment, Time) -> Result<Decision<Payment>, Error>,
) -> Reaction<Payment> {
    let name = format!("payments/{id}");
    Reaction::decide(id, move |payment| rule(payment.ok_or_else(|| Error::not_found(&name))?, now))
}
