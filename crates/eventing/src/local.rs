//! The in-process bus: consumers read the history of each context of the process, in the database that stores it. It
//! stores and carries nothing itself.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use engine::{Engine, Stored, bus_identity, event_log, storage::Database};
use jumun_core::{Error, Time, time::sleep};
use tokio::sync::watch;

use crate::transport::BusError;

/// The identity of the local bus, for every context.
pub(crate) const IDENTITY: &str = "local";
/// The pause before the identity is recorded again after the database has failed.
const RECORD_PAUSE: Duration = Duration::from_millis(500);

/// Records that no broker has the events of an engine, so that one that is used later gets all of them.
pub async fn record_identity<A: Stored>(engine: Engine<A>) {
    let record = async || {
        let stored = bus_identity::stored_identity(engine.database()).await?;
        if stored.as_deref() == Some(IDENTITY) {
            return Ok(());
        }
        bus_identity::save_identity(&engine, IDENTITY.to_owned()).await
    };
    while let Err(error) = record().await {
        tracing::debug!(%error, context = engine.database().schema(), "cannot record the bus now");
        sleep(RECORD_PAUSE).await;
    }
}

/// Tells the consumers of a process which histories it has, and the process how far its consumers are.
#[derive(Clone, Default)]
pub struct LocalBus(Arc<Mutex<Members>>);

#[derive(Default)]
struct Members {
    histories: BTreeMap<String, History>,
    /// The progress of consumers, by source and name.
    consumers: BTreeMap<(String, String), Arc<Progress>>,
}

/// The history of one context.
#[derive(Clone)]
pub(crate) struct History {
    pub(crate) database: Database,
    /// Changes when events were committed.
    pub(crate) committed: watch::Receiver<()>,
}

/// How far a consumer is.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// The position up to which it has read.
    pub(crate) position: AtomicI64,
    /// The number of aggregates with events that wait for a retry.
    pub(crate) retrying: AtomicUsize,
    /// When the oldest event that it is applying was emitted, in microseconds since the epoch; 0: it has read all.
    pub(crate) oldest: AtomicI64,
}

impl LocalBus {
    /// Adds the history of a context; the engine notifies its consumers through the returned sender.
    pub fn add_history(&self, database: Database) -> watch::Sender<()> {
        let (sender, committed) = watch::channel(());
        self.lock().histories.insert(database.schema().to_owned(), History { database, committed });
        sender
    }

    /// The history of a context; None: it does not run in this process.
    pub(crate) fn history(&self, context: &str) -> Option<History> {
        self.lock().histories.get(context).cloned()
    }

    pub(crate) fn progress(&self, source: &str, consumer: &str) -> Arc<Progress> {
        self.lock().consumers.entry((source.to_owned(), consumer.to_owned())).or_default().clone()
    }

    /// The number of events that a consumer has not applied; of those that wait for a retry, one for each aggregate.
    pub(crate) async fn unsettled(&self, source: &str, consumer: &str) -> Result<u64, BusError> {
        let (history, progress) = {
            let members = self.lock();
            // Of a context that does not run in this process, nothing is received.
            let Some(history) = members.histories.get(source).cloned() else { return Ok(0) };
            let progress = members.consumers.get(&(source.to_owned(), consumer.to_owned())).cloned();
            (history, progress.ok_or_else(|| BusError::new("no such consumer"))?)
        };
        let behind = event_log::count_after(&history.database, progress.position.load(Relaxed)).await;
        let behind = u64::try_from(behind.map_err(|error: Error| BusError::new(error))?).unwrap_or_default();
        Ok(behind + u64::try_from(progress.retrying.load(Relaxed)).unwrap_or(u64::MAX))
    }

    /// When the oldest event that a consumer of this process is applying was emitted.
    pub fn oldest_event(&self) -> Option<Time> {
        let members = self.lock();
        let oldest = members.consumers.values().map(|progress| progress.oldest.load(Relaxed));
        oldest.filter(|oldest| *oldest > 0).min().map(Time)
    }

    fn lock(&self) -> MutexGuard<'_, Members> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
