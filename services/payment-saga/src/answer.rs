//! What the caller is told about a payable.

use jumun_core::{Error, Violations};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::{INVALID_PAYMENT_METHOD, PAYMENT_UNCONFIRMED, Payable, PaymentStatus, reasons};

/// What a request for a payable is answered, the first time and each time it is repeated.
pub(crate) fn answer<P: Payable>(payable: &P) -> Result<P, Error> {
    if let Some(made) = payable.as_made() {
        return Ok(made);
    }
    Err(match payable.payment_status() {
        PaymentStatus::Rejected(INVALID_PAYMENT_METHOD) => invalid_payment_method::<P>(),
        PaymentStatus::Rejected(PAYMENT_UNCONFIRMED) => {
            let message = format!(
                "payment could not be confirmed, so the {} does not stand and nothing is charged; ask again, with a new \
                 request_id",
                P::KIND
            );
            Error::new(P::NOT_MADE, message).with(P::KIND, payable.name())
        }
        PaymentStatus::Rejected(declined) => Error::new(&reasons::PAYMENT_DECLINED, "the payment was declined")
            .with("decline_reason", declined)
            .with(P::KIND, payable.name()),
        PaymentStatus::Pending | PaymentStatus::Voiding | PaymentStatus::Made => {
            unconfirmed(payable, &Status::unavailable("it is being voided"))
        }
    })
}

fn invalid_payment_method<P: Payable>() -> Error {
    let mut violations = Violations::default();
    violations.add(format!("{}.payment_method", P::KIND), "is not a payment method");
    violations.into_result().err().unwrap_or_else(|| Error::internal("no violation"))
}

/// What the caller is told while the circuit to payment is open, so that it is not asked.
pub(crate) fn not_asked<P: Payable>(closed: &Error) -> Error {
    let message = format!(
        "payment does not answer at present, so it was not asked and no {} was made; repeat the request",
        P::KIND
    );
    Error::new(&reasons::PAYMENT_UNAVAILABLE, message).override_retry_after(closed.retry_after)
}

/// What the caller is told while it is unknown whether the money is held.
pub(crate) fn unconfirmed<P: Payable>(payable: &P, status: &Status) -> Error {
    tracing::debug!(payable = payable.name(), %status, "payment unconfirmed");
    let error = match status.code() {
        Code::ResourceExhausted => {
            let told = status.get_details_retry_info().and_then(|info| info.retry_delay);
            Error::new(&reasons::PAYMENT_OVERLOADED, "payment is overloaded; repeat the request")
                .override_retry_after(told)
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
    error.with(P::KIND, payable.name())
}
