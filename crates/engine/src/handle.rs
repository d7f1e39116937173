//! An engine without its aggregate type, for the admin service, metrics and shutdown.

use futures::future::BoxFuture;
use jumun_core::{Error, Time};
use prometheus::Histogram;

use crate::{Engine, Stored, queue::Maintenance, storage::Database};

/// An engine without its aggregate type.
pub trait EngineHandle: Send + Sync {
    /// The database that it writes.
    fn database(&self) -> &Database;

    /// The current time of its clock.
    fn now(&self) -> Time;

    /// Ends the writer thread once it has finished the queued jobs.
    fn close(&self);

    /// Runs `work` on the engine's own tables, in a transaction of the writer thread.
    fn maintain(&self, work: Maintenance) -> BoxFuture<'static, Result<(), Error>>;

    /// The numbers of commands and events that wait for a transaction.
    fn queued(&self) -> (usize, usize);

    /// The number of jobs per transaction.
    fn batch_sizes(&self) -> &Histogram;

    /// Since when events wait and the bus acknowledges none; None while it does.
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
