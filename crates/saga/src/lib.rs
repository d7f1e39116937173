//! Sagas: the protocol for changes that are final only when another context agrees.
//!
//! 1. **Record.** The aggregate is committed as unsettled, before the other context is called.
//! 2. **Ask.** The other context is called. The call is idempotent, so it may be repeated.
//! 3. **Apply.** A pure rule decides what the outcome means, and its decision is committed.
//! 4. **Recover.** A worker finds unsettled aggregates (after a timeout, a broken connection, a crash) and resolves
//!    them.
//!
//! The outcome of a call can be unknown, and then it is never guessed: the aggregate stays unsettled, the caller gets
//! an error that asks it to repeat the request, and the recovery asks the other context for a *final* outcome. The
//! other context may make it final with a tombstone, which rejects a call that arrives later. So any of them may apply
//! the outcome first: the task of the request, a repetition of the request, the recovery, or another replica.
//!
//! A saga may have several steps: an applied outcome may leave the aggregate waiting for another call. Each step is
//! committed before the next call is made.
//!
//! A context implements [`Saga`] and keeps a [`SagaRunner`].

mod rounds;
mod runner;

use std::{future::Future, time::Duration};

use engine::{Decision, Query, Stored};
use jumun_core::{Error, Time};
use rpc::{Channel, MAX_OUTGOING_CALL};

pub use rounds::round;
pub use runner::{Call, SagaRunner};

/// How often the recovery looks for unsettled aggregates.
pub const RECOVERY_INTERVAL: Duration = Duration::from_secs(1);
/// How long an aggregate may be unsettled before it counts as abandoned: longer than any call may take.
pub const ABANDONED_AFTER: Duration = Duration::from_secs(5);
const _: () = assert!(ABANDONED_AFTER.as_millis() > 2 * MAX_OUTGOING_CALL.as_millis());

/// The business rules of a saga: what is recorded, which calls are made, and what their outcomes mean.
pub trait Saga: Clone + Send + Sync + 'static {
    /// The aggregate that is recorded.
    type Aggregate: Stored;
    /// A final outcome of a call.
    type Outcome: Send + 'static;
    /// The step that an unsettled aggregate waits for.
    type Step: PartialEq + Send;

    /// Aggregates that one round of the recovery resolves.
    const MAX_RECOVERED: usize = 1024;
    /// Aggregates that the recovery resolves concurrently.
    const RECOVERED_AT_ONCE: usize = 64;

    /// The step that the aggregate waits for; None: it is settled.
    fn step(aggregate: &Self::Aggregate) -> Option<Self::Step>;

    /// Makes the call, which must be idempotent. An error means that the outcome is unknown, and is returned to the
    /// caller.
    fn ask(&self, aggregate: &Self::Aggregate) -> impl Future<Output = Result<Self::Outcome, Error>> + Send;

    /// Makes the call of the recovery, when the outcome is unknown: the same call, or one that makes the outcome final.
    /// None: there is no outcome yet, and the next round calls again.
    fn resolve(
        &self,
        aggregate: &Self::Aggregate,
    ) -> impl Future<Output = Result<Option<Self::Outcome>, Error>> + Send {
        async { self.ask(aggregate).await.map(Some) }
    }

    /// Decides what an outcome means for an aggregate. It must not change an aggregate that is settled already.
    fn apply(
        aggregate: &Self::Aggregate,
        outcome: &Self::Outcome,
        now: Time,
    ) -> Result<Decision<Self::Aggregate>, Error>;

    /// The query for the aggregates to resolve now, usually those that are unsettled for [`ABANDONED_AFTER`].
    fn unsettled(now: Time) -> Query;
}

/// A saga that a request starts, and whose calls go over one channel.
pub trait RequestSaga: Saga {
    /// The channel to the other context.
    fn channel(&self) -> &Channel;

    /// The error for callers while the circuit is open: no call was made, and nothing is recorded.
    fn not_asked(&self, circuit_open: &Error) -> Error;
}
