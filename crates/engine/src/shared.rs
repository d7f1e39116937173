//! The state that the handles of an engine share with its writer thread.

use std::sync::Arc;

use jumun_core::Clock;
use tokio::sync::broadcast;

use crate::{
    Stored,
    outbox::{CommittedEvents, Outlet, Stall},
    queue::Queue,
    row::Revision,
    storage::Database,
};

pub(crate) struct Shared<A: Stored> {
    pub(crate) database: Database,
    pub(crate) clock: Clock,
    pub(crate) queue: Queue<A>,
    pub(crate) changes: broadcast::Sender<Arc<A>>,
    pub(crate) outlet: Outlet,
    pub(crate) stall: Stall,
    /// The runtime of the callers.
    pub(crate) runtime: tokio::runtime::Handle,
}

impl<A: Stored> Shared<A> {
    pub(crate) fn publish(&self, written: &[(String, (Arc<A>, Revision))], events: CommittedEvents) {
        if self.changes.receiver_count() > 0 {
            for (_, (state, _)) in written {
                // It fails only if the last watcher has just left.
                let _ = self.changes.send(state.clone());
            }
        }
        match &self.outlet {
            _ if events.events.is_empty() => {}
            Outlet::History(committed) => committed.send_replace(()),
            Outlet::Relay(relay) => {
                if relay.sender.try_send(events).is_err() {
                    relay.overflow.notify_one();
                }
            }
        }
    }
}
