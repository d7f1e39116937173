//! The payment saga: an order or enrollment is confirmed only when its payment is authorized, and nothing is charged
//! for one that is not confirmed.
//!
//! A context whose aggregate must be paid implements [`Payable`], and keeps a [`PaymentSaga`] on its engine. The crate
//! `saga` runs the protocol; this crate makes the calls to payment, and defines what the answers mean.
//!
//! A payment that payment does not know when the recovery asks is voided, behind a tombstone that rejects a late
//! authorization. Money is safe because of the order of commits: PENDING before the authorization is requested, VOIDING
//! before the void is requested, and confirmed only from PENDING.
//!
//! ```text
//!          authorized
//! PENDING ────────────▶ confirmed (PLACED, ENROLLED)
//!  │    │ refused
//!  │    └─────────▶ REJECTED ◀── voided ──┐
//!  └──▶ VOIDING ──────────────────────────┘   payment's answer is unknown
//! ```

mod answer;
mod authorization;
mod payable;
pub mod reasons;
#[cfg(test)]
mod tests;

use engine::{Engine, RequestKey};
use jumun_core::Error;
use runtime::ContextBuilder;
use saga::SagaRunner;

use answer::answer;
use authorization::Authorization;
pub use payable::{INVALID_PAYMENT_METHOD, PAYMENT_UNCONFIRMED, Payable, PaymentStatus};

/// The context that the saga calls.
pub const CALLS: &str = "payment";

/// Runs the payments of one context's payables.
#[derive(Clone)]
pub struct PaymentSaga<P: Payable>(SagaRunner<Authorization<P>>);

impl<P: Payable> PaymentSaga<P> {
    /// Opens the channel to payment, and starts the recovery of interrupted payments.
    pub fn new(context: &mut ContextBuilder<'_>, payables: &Engine<P>) -> anyhow::Result<Self> {
        let runner = SagaRunner::new(payables, Authorization::new(context.channel(CALLS)?));
        runner.recover_regularly(context, "payment-recovery");
        Ok(Self(runner))
    }

    /// Records the payable, authorizes its payment, and returns the payable as it was confirmed, or why it was not. A
    /// repeated request continues where the first one stopped.
    pub async fn run(&self, request: RequestKey, requested: P) -> Result<P, Error> {
        answer(&*self.0.run(request, requested).await?)
    }
}
