//! What can be paid for, as its own context sees it.

use engine::{Decision, Stored};
use jumun_core::{Error, Money, Reason, Time};

/// Payment never said what became of its authorization; it is voided.
pub const PAYMENT_UNCONFIRMED: &str = "PAYMENT_UNCONFIRMED";
/// The payment method is not one.
pub const INVALID_PAYMENT_METHOD: &str = "INVALID_PAYMENT_METHOD";

/// How far the payment of a payable is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaymentStatus<'a> {
    /// Recorded; payment's answer is not known.
    Pending,
    /// Given up; its payment is being voided.
    Voiding,
    /// It never stood, for this reason.
    Rejected(&'a str),
    /// It stands, or stood.
    Made,
}

/// An aggregate that stands only when payment holds the money for it.
///
/// Its table has the columns `state`, with PENDING and VOIDING among the states, and `update_time`: by these the
/// recovery finds what was interrupted. Each rule leaves alone what another outcome has decided already.
pub trait Payable: Stored {
    /// What kind of thing it is: in sentences, in ErrorInfo's metadata, as the field of its request, and in its
    /// payment's id.
    const KIND: &'static str;
    /// The error that it never stood, because payment could not be confirmed.
    const NOT_MADE: &'static Reason;

    /// Its resource name, which payment knows it by.
    fn name(&self) -> String;

    /// What it costs.
    fn amount(&self) -> Money;

    /// The token that stands for the card.
    fn payment_method(&self) -> &str;

    /// How far its payment is.
    fn payment_status(&self) -> PaymentStatus<'_>;

    /// It as it was when it came to stand, however far it is by now; None when it does not, or did not.
    fn as_made(&self) -> Option<Self>;

    /// PENDING only: this payment holds the money, so it stands.
    fn stand(&self, payment: &str, now: Time) -> Result<Decision<Self>, Error>;

    /// PENDING only: from now on it can only be rejected, so that its payment can be voided.
    fn give_up(&self, now: Time) -> Result<Decision<Self>, Error>;

    /// PENDING or VOIDING only: nothing is held for it, now or later, so it never stands.
    fn reject(&self, reason: &str, now: Time) -> Result<Decision<Self>, Error>;
}
