//! What the caller is told about what is to be paid for.

use kit::{Error, Violations};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::{INVALID_PAYMENT_METHOD, PAYMENT_UNCONFIRMED, Payable, Standing, reasons};

/// What whoever asked for a payable is told, the first time and each time the request is repeated.
pub(crate) fn answer<P: Payable>(payable: &P) -> Result<P, Error> {
    if let Some(made) = payable.as_made() {
        return Ok(made);
    }
    Err(match payable.standing() {
        Standing::Rejected(INVALID_PAYMENT_METHOD) => invalid_payment_method::<P>(),
        Standing::Rejected(PAYMENT_UNCONFIRMED) => {
            let message = format!(
                "payment could not be confirmed, so the {} does not stand and nothing is charged; ask again, with a new \
                 request_id",
                P::WORD
            );
            Error::new(P::NOT_MADE, message).with(P::WORD, payable.name())
        }
        Standing::Rejected(declined) => Error::new(&reasons::PAYMENT_DECLINED, "the payment was declined")
            .with("decline_reason", declined)
            .with(P::WORD, payable.name()),
        Standing::Pending | Standing::Voiding | Standing::Made => {
            unconfirmed(payable, &Status::unavailable("it is being voided"))
        }
    })
}

fn invalid_payment_method<P: Payable>() -> Error {
    let mut violations = Violations::default();
    violations.add(format!("{}.payment_method", P::WORD), "is not a payment method");
    violations.into_result().err().unwrap_or_else(|| Error::internal("no violation"))
}

/// What the caller is told when payment is not asked, because it does not answer anybody at present.
pub(crate) fn not_asked<P: Payable>(closed: &Error) -> Error {
    let message = format!(
        "payment does not answer at present, so it was not asked and no {} was made; repeat the request",
        P::WORD
    );
    Error::new(&reasons::PAYMENT_UNAVAILABLE, message).retry_as_told(closed.retry_after)
}

/// What the caller is told while it is unknown whether the money is held.
pub(crate) fn unconfirmed<P: Payable>(payable: &P, status: &Status) -> Error {
    tracing::debug!(payable = payable.name(), %status, "payment unconfirmed");
    let error = match status.code() {
        Code::ResourceExhausted => {
            let told = status.get_details_retry_info().and_then(|info| info.retry_delay);
            Error::new(&reasons::PAYMENT_OVERLOADED, "payment is overloaded; repeat the request").retry_as_told(told)
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
    error.with(P::WORD, payable.name())
}
