//! An engine, whatever aggregate it is for: what admin calls, metrics and the end of a process need of it.

use futures::future::BoxFuture;
use jumun_core::{Error, Time};
use prometheus::Histogram;

use crate::{Engine, Stored, queue::Maintenance, storage::Database};

/// An engine without its aggregate's type.
pub trait EngineHandle: Send + Sync {
    /// The database that it writes.
    fn database(&self) -> &Database;

    /// The present instant of its clock.
    fn now(&self) -> Time;

    /// Lets the writer thread finish what is queued, and end.
    fn close(&self);

    /// Works on the engine's own tables, in a transaction of the writer.
    fn maintain(&self, work: Maintenance) -> BoxFuture<'static, Result<(), Error>>;

    /// Commands and events that wait for a transaction.
    fn queued(&self) -> (usize, usize);

    /// Jobs that shared a transaction.
    fn batch_sizes(&self) -> &Histogram;

    /// Since when events wait while the bus acknowledges none; None while there is progress.
    fn stalled_since(&self) -> Option<Time>;
}

impl<A: Stored> EngineHandle for Engine<A> {
    fn database(&self) -> &Database {
        Engine::database(self)
    }

    fn now(&self) -> Time {
        Engine::now(self)
    }

    fn close(&self) {
        self.0.queue.close();
    }

    fn maintain(&self, work: Maintenance) -> BoxFuture<'static, Result<(), Error>> {
        let engine = self.clone();
        Box::pin(async move { Engine::maintain(&engine, work).await })
    }

    fn queued(&self) -> (usize, usize) {
        self.0.queue.lengths()
    }

    fn batch_sizes(&self) -> &Histogram {
        &self.0.queue.batch_sizes
    }

    fn stalled_since(&self) -> Option<Time> {
        self.0.stall.elapsed().map(|elapsed| Engine::now(self) - elapsed)
    }
}
