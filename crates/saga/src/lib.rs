//! Sagas: record, ask, apply, recover. The protocol of what stands only when another context agrees, written once.
//!
//! 1. **Record.** The aggregate is committed as unsettled, before anything is asked.
//! 2. **Ask.** The other side is called. The call is idempotent, so it may be repeated.
//! 3. **Apply.** What the answer means is decided by a pure rule, and committed.
//! 4. **Recover.** A worker finds what was left unsettled (a timeout, a broken connection, a crash) and resolves it.
//!
//! The outcome of a call can be unknown, and then it is never guessed: the aggregate stays unsettled, the caller is
//! told to repeat the request, and the recovery asks the other side for an outcome that is *final*. The other side may
//! make it final by leaving a tombstone, which a late call then meets. So the first to learn an outcome applies it, and
//! it does not matter who that is: the caller's task, a repetition of its request, the recovery, or another replica.
//!
//! Several steps are possible: an outcome that is applied may leave the aggregate waiting for something else, which the
//! other side is asked for next. Each step is committed before the next is asked.
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

/// How often unsettled aggregates are looked for.
pub const RECOVERY_INTERVAL: Duration = Duration::from_secs(1);
/// An aggregate may wait for an answer so long before it counts as abandoned: longer than any call may take.
pub const ABANDONED_AFTER: Duration = Duration::from_secs(5);
const _: () = assert!(ABANDONED_AFTER.as_millis() > 2 * MAX_OUTGOING_CALL.as_millis());

/// The business of a saga: what is recorded, what is asked, and what an answer means.
pub trait Saga: Clone + Send + Sync + 'static {
    /// What is recorded first.
    type Aggregate: Stored;
    /// What the other side is known to have answered. It is final.
    type Outcome: Send + 'static;
    /// What an unsettled aggregate waits for.
    type Step: PartialEq + Send;

    /// Aggregates recovered in one round.
    const MAX_RECOVERED: usize = 1024;
    /// Aggregates recovered at once.
    const RECOVERED_AT_ONCE: usize = 64;

    /// What the aggregate waits for; None: it is settled.
    fn step(aggregate: &Self::Aggregate) -> Option<Self::Step>;

    /// Makes the call, which is idempotent. An error leaves the outcome unknown, and is what the caller is told.
    fn ask(&self, aggregate: &Self::Aggregate) -> impl Future<Output = Result<Self::Outcome, Error>> + Send;

    /// What the recovery asks when the answer was never learnt: the same again, or a call that makes the outcome final.
    /// None: there is no outcome yet, and the next round asks again.
    fn resolve(
        &self,
        aggregate: &Self::Aggregate,
    ) -> impl Future<Output = Result<Option<Self::Outcome>, Error>> + Send {
        async { self.ask(aggregate).await.map(Some) }
    }

    /// Decides what an outcome means. It leaves alone what another outcome has settled already.
    fn apply(
        aggregate: &Self::Aggregate,
        outcome: &Self::Outcome,
        now: Time,
    ) -> Result<Decision<Self::Aggregate>, Error>;

    /// The unsettled aggregates that are to be resolved now, usually those of before [`ABANDONED_AFTER`].
    fn unsettled(now: Time) -> Query;
}

/// A saga that a caller's request starts, by one call over one channel.
pub trait RequestSaga: Saga {
    /// The channel by which the other side is asked.
    fn channel(&self) -> &Channel;

    /// What the caller is told while the circuit is open: nobody was asked, and nothing is recorded.
    fn not_asked(&self, circuit_open: &Error) -> Error;
}
