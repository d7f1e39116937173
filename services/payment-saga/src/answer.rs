//! The answers to a request for a payable.

use jumun_core::{Error, Violations};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::{INVALID_PAYMENT_METHOD, PAYMENT_UNCONFIRMED, Payable, PaymentStatus, reasons};

/// The answer to a request for a payable, the first time and each time it is repeated.
pub(crate) fn answer<P: Payable>(payable: &P) -> Result<P, Error> {
    if let Some(confirmed) = payable.as_confirmed() {
        return Ok(confirmed);
    }
    Err(match payable.payment_status() {
        PaymentStatus::Rejected(INVALID_PAYMENT_METHOD) => invalid_payment_method::<P>(),
        PaymentStatus::Rejected(PAYMENT_UNCONFIRMED) => {
            let message = format!(
                "payment could not be confirmed; the {} is rejected and nothing is charged; repeat it \
                 with a new request_id",
                P::KIND
            );
            Error::new(P::UNCONFIRMED, message).with(P::KIND, payable.name())
        }
        PaymentStatus::Rejected(declined) => Error::new(&reasons::PAYMENT_DECLINED, "the payment was declined")
            .with("decline_reason", declined)
            .with(P::KIND, payable.name()),
        PaymentStatus::Pending | PaymentStatus::Voiding | PaymentStatus::Confirmed => {
            unconfirmed(payable, &Status::unavailable("the payment is being voided"))
        }
    })
}

fn invalid_payment_method<P: Payable>() -> Error {
    let mut violations = Violations::default();
    violations.add(format!("{}.payment_method", P::KIND), "is not a payment method");
    violations.into_result().err().unwrap_or_else(|| Error::internal("no violation"))
}

/// The error while the circuit to payment is open: payment is not called.
pub(crate) fn not_asked<P: Payable>(circuit_open: &Error) -> Error {
    let message =
        format!("payment is not responding and was not called; no {} was created; repeat the request", P::KIND);
    Error::new(&reasons::PAYMENT_UNAVAILABLE, message).override_retry_after(circuit_open.retry_after)
}

/// The error while it is unknown whether the money is held.
pub(crate) fn unconfirmed<P: Payable>(payable: &P, status: &Status) -> Error {
    tracing::debug!(payable = payable.name(), %status, "payment unconfirmed");
    let error = match status.code() {
        Code::ResourceExhausted => {
            let retry_delay = status.get_details_retry_info().and_then(|info| info.retry_delay);
            Error::new(&reasons::PAYMENT_OVERLOADED, "payment is overloaded; repeat the request")
                .override_retry_after(retry_delay)
        }
        Code::DeadlineExceeded => Error::new(
            &reasons::PAYMENT_TIMED_OUT,
            "payment did not answer in time; repeat the request to get the result",
        ),
        _ => {
            Error::new(&reasons::PAYMENT_UNAVAILABLE, "payment cannot be reached; repeat the request to get the result")
        }
    };
    error.with(P::KIND, payable.name())
}
