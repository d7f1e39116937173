//! The payment saga: nothing unpaid stands, and nothing is charged for what does not stand.
//!
//! A context whose aggregate stands only when it is paid implements [`Payable`] and makes a [`PaymentSaga`] of its
//! engine. The protocol is the crate `saga`'s; here is what payment is asked, and what its answers mean.
//!
//! Whatever payment does not know when the recovery asks is voided, behind a tombstone that a late authorization meets.
//! Money is safe because of the order of commits: PENDING before payment is asked, VOIDING before it is told to void,
//! and standing only from PENDING.
//!
//! ```text
//!            held
//! PENDING ─────────▶ stands
//!  │    │ refused
//!  │    └─────────▶ REJECTED ◀── voided ──┐
//!  └──▶ VOIDING ──────────────────────────┘   payment's answer was never learnt
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

/// The context that is called.
pub const CALLS: &str = "payment";

/// Brings one context's payables to payment.
#[derive(Clone)]
pub struct PaymentSaga<P: Payable>(SagaRunner<Authorization<P>>);

impl<P: Payable> PaymentSaga<P> {
    /// Opens the channel to payment, and starts the recovery of what was interrupted.
    pub fn new(unit: &mut ContextBuilder<'_>, payables: &Engine<P>) -> anyhow::Result<Self> {
        let runner = SagaRunner::new(payables, Authorization::new(unit.channel(CALLS)?));
        runner.recover_regularly(unit, "payment-recovery");
        Ok(Self(runner))
    }

    /// Records the payable, asks payment, and answers with the payable as it came to stand, or why it does not.
    /// Repeated, it goes on where it stopped.
    pub async fn run(&self, request: RequestKey, requested: P) -> Result<P, Error> {
        answer(&*self.0.run(request, requested).await?)
    }
}
