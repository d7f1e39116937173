//! Payables: aggregates that are paid for.

use engine::{Decision, Stored};
use jumun_core::{Error, Money, Reason, Time};

/// The `state_reason` of a payable whose payment could not be confirmed, and is voided.
pub const PAYMENT_UNCONFIRMED: &str = "PAYMENT_UNCONFIRMED";
/// The `state_reason` of a payable whose payment method is not valid.
pub const INVALID_PAYMENT_METHOD: &str = "INVALID_PAYMENT_METHOD";

/// The status of a payable's payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaymentStatus<'a> {
    /// Recorded; payment's answer is unknown.
    Pending,
    /// Its payment is being voided.
    Voiding,
    /// It was not confirmed, for this reason.
    Rejected(&'a str),
    /// Its payment was authorized, so it was confirmed; it may have been cancelled since.
    Confirmed,
}

/// An aggregate that is confirmed only when payment holds the money for it.
///
/// Its table has the columns `state`, with PENDING and VOIDING among the states, and `update_time`: by these the
/// recovery finds interrupted payments. A rule changes nothing when another outcome was applied before.
pub trait Payable: Stored {
    /// The singular of its collection, e.g. `order`: in messages, in ErrorInfo's metadata, as the field of its request,
    /// and in its payment's id.
    const KIND: &'static str;
    /// The error when its payment could not be confirmed.
    const UNCONFIRMED: &'static Reason;

    /// Its resource name, by which payment identifies it.
    fn name(&self) -> String;

    /// The amount to pay.
    fn amount(&self) -> Money;

    /// The token of the card.
    fn payment_method(&self) -> &str;

    /// The status of its payment.
    fn payment_status(&self) -> PaymentStatus<'_>;

    /// The payable as it was when it was confirmed, whatever its state is now; None when it was not confirmed.
    fn as_confirmed(&self) -> Option<Self>;

    /// From PENDING only: confirms it, because this payment holds the money.
    fn confirm(&self, payment: &str, now: Time) -> Result<Decision<Self>, Error>;

    /// From PENDING only: from now on it can only be rejected, so its payment can be voided.
    fn start_voiding(&self, now: Time) -> Result<Decision<Self>, Error>;

    /// From PENDING or VOIDING only: rejects it, because nothing is held for it, now or later.
    fn reject(&self, reason: &str, now: Time) -> Result<Decision<Self>, Error>;
}
