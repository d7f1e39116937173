//! The in-process bus: consumers read the history of each context of the process, in the database that stores it. It
//! stores and carries nothing itself.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use engine::{Engine, Stored, bus_identity, event_log, storage::Database};
use jumun_core::{Envelope, Error, Time, time::sleep};
use tokio::sync::watch;

use crate::transport::BusError;

/// The identity of the local bus, for every context.
pub(crate) const IDENTITY: &str = "local";
/// Maximum number of events of a context that are kept for further consumers.
const MAX_RECENT: usize = 1024;
/// The pause before the identity is recorded again after the database has failed.
const RECORD_PAUSE: Duration = Duration::from_millis(500);

/// Records that no broker has the events of an engine, so that one that is used later gets all of them.
pub async fn record_identity<A: Stored>(engine: Engine<A>) {
    let record = async || {
        let stored = bus_identity::stored_identity(engine.database()).await?;
        if stored.as_deref() == Some(IDENTITY) {
            return Ok(());
        }
        // Its consumers read the history: what waits for another bus is waited for in vain.
        bus_identity::clear_outbox(&engine).await?;
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
    recent: Arc<Mutex<Recent>>,
}

/// The events that a consumer read last, for the others, which most often want the same.
#[derive(Debug, Default)]
struct Recent {
    /// The position before the first of these events.
    after: i64,
    /// All events after that position, up to the last of these.
    events: VecDeque<Arc<Envelope>>,
}

impl Recent {
    /// At most `limit` events after a position; None if these do not begin there.
    fn after(&self, position: i64, limit: usize) -> Option<Vec<Arc<Envelope>>> {
        let last = self.events.back()?;
        if position < self.after || position >= last.sequence {
            return None;
        }
        let skipped = self.events.partition_point(|event| event.sequence <= position);
        Some(self.events.range(skipped..).take(limit).cloned().collect())
    }

    /// Adds events that were read after a position.
    fn add(&mut self, position: i64, events: &[Arc<Envelope>]) {
        let end = self.events.back().map(|event| event.sequence);
        if end != Some(position) {
            (self.after, self.events) = (position, VecDeque::new());
        }
        self.events.extend(events.iter().cloned());
        while self.events.len() > MAX_RECENT {
            self.after = self.events.pop_front().map_or(self.after, |event| event.sequence);
        }
    }
}

impl History {
    /// At most `limit` events after a position. Fewer does not mean that there are no more.
    pub(crate) async fn after(&self, position: i64, limit: usize) -> Result<Vec<Arc<Envelope>>, Error> {
        if let Some(events) = self.recent().after(position, limit) {
            return Ok(events);
        }
        let events = event_log::after(&self.database, position, limit).await?;
        let mut recent = self.recent();
        // Another consumer may have read them meanwhile.
        if !events.is_empty() && recent.after(position, 1).is_none() {
            recent.add(position, &events);
        }
        Ok(events)
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
        let history = History { database, committed, recent: Arc::default() };
        self.lock().histories.insert(history.database.schema().to_owned(), history);
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
    pub(crate) fn oldest_event(&self) -> Option<Time> {
        let members = self.lock();
        let oldest = members.consumers.values().map(|progress| progress.oldest.load(Relaxed));
        oldest.filter(|oldest| *oldest > 0).min().map(Time)
    }

    fn lock(&self) -> MutexGuard<'_, Members> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(sequence: i64) -> Arc<Envelope> {
        Arc::new(Envelope {
            context: "things".to_owned(),
            sequence,
            aggregate: "a".to_owned(),
            number: sequence,
            kind: "ThingMoved".to_owned(),
            payload: Vec::new(),
            time: Time(0),
            traceparent: None,
            causation: None,
        })
    }

    fn sequences(events: Option<Vec<Arc<Envelope>>>) -> Option<Vec<i64>> {
        events.map(|events| events.iter().map(|event| event.sequence).collect())
    }

    #[test]
    fn recent_events_are_those_after_a_position_without_a_gap() {
        let mut recent = Recent::default();
        assert_eq!(sequences(recent.after(0, 9)), None);
        recent.add(10, &[event(12), event(13)]);
        recent.add(13, &[event(17)]);
        assert_eq!(sequences(recent.after(9, 9)), None, "11 may have been an event");
        assert_eq!(sequences(recent.after(10, 9)), Some(vec![12, 13, 17]));
        assert_eq!(sequences(recent.after(11, 1)), Some(vec![12]));
        assert_eq!(sequences(recent.after(14, 9)), Some(vec![17]));
        assert_eq!(sequences(recent.after(17, 9)), None, "there may be more by now");
        recent.add(20, &[event(21)]);
        assert_eq!(sequences(recent.after(13, 9)), None, "between 17 and 20 nothing was read");
        assert_eq!(sequences(recent.after(20, 9)), Some(vec![21]));
    }

    #[test]
    fn a_limited_number_of_recent_events_is_kept() {
        let mut recent = Recent::default();
        let all: Vec<_> = (1..=2_000).map(event).collect();
        recent.add(0, &all);
        assert_eq!(recent.events.len(), MAX_RECENT);
        assert_eq!(sequences(recent.after(975, 9)), None);
        assert_eq!(sequences(recent.after(976, 2)), Some(vec![977, 978]));
    }
}
