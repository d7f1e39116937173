//! What an engine's handles and its writer thread share.

use std::sync::Arc;

use jumun_core::Clock;
use tokio::sync::broadcast;

use crate::{
    Stored,
    outbox::{Committed, Outgoing, Stall},
    queue::Queue,
    row::Revision,
    storage::Database,
};

pub(crate) struct Shared<A: Stored> {
    pub(crate) database: Database,
    pub(crate) clock: Clock,
    pub(crate) queue: Queue<A>,
    pub(crate) changes: broadcast::Sender<Arc<A>>,
    pub(crate) outbox: Outgoing,
    pub(crate) stall: Stall,
    /// Where the callers wait.
    pub(crate) runtime: tokio::runtime::Handle,
}

impl<A: Stored> Shared<A> {
    pub(crate) fn announce(&self, written: &[(String, (Arc<A>, Revision))], events: Committed) {
        if self.changes.receiver_count() > 0 {
            for (_, (state, _)) in written {
                // Nobody listening any more is no failure.
                let _ = self.changes.send(state.clone());
            }
        }
        if !events.messages.is_empty() && self.outbox.fresh.try_send(events).is_err() {
            self.outbox.overflow.notify_one();
        }
    }
}
