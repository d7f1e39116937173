//! The history of a view: its events, sorted.

use jumun_core::{Error, Time};
use serde::{Deserialize, Serialize};

use crate::reasons;

/// Entries of one history. A complete order has a dozen; more than this means that contexts react to each other in a
/// loop.
pub const MAX_HISTORY: usize = 64;

/// The context that an entry comes from, in the usual order of events: it sorts entries of the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Source {
    Payment,
    Order,
    Store,
    Kitchen,
    Delivery,
    Enrollment,
    Education,
    Customer,
    Notification,
}

/// One event. Entries are sorted by their fields, from the first on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Entry<S> {
    /// The time of the event, by the clock of its context.
    #[serde(with = "Micros")]
    pub time: Time,
    /// The context of the event.
    pub source: Source,
    /// The number of the event within its aggregate; with the source it identifies the event.
    pub number: i64,
    /// The kind of the event, e.g. `COOKING_STARTED`.
    pub kind: String,
    /// The state that the event leads to, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<S>,
    /// The rider in the event, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rider: Option<String>,
}

/// How an entry stores its time.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Time")]
struct Micros(i64);

/// Inserts an entry at its position; false when it exists already.
pub(crate) fn insert<S: Clone + Ord>(
    history: &mut Vec<Entry<S>>,
    entry: &Entry<S>,
    view: impl FnOnce() -> String,
) -> Result<bool, Error> {
    let Err(position) = history.binary_search(entry) else { return Ok(false) };
    if history.len() >= MAX_HISTORY {
        let message = format!("{} already has {MAX_HISTORY} entries", view());
        return Err(Error::new(&reasons::HISTORY_FULL, message));
    }
    history.insert(position, entry.clone());
    Ok(true)
}

/// The entries of one context.
pub(crate) fn of<S>(history: &[Entry<S>], source: Source) -> impl Iterator<Item = &Entry<S>> {
    history.iter().filter(move |entry| entry.source == source)
}

/// A context's first entry.
pub(crate) fn first<S>(history: &[Entry<S>], source: Source) -> Option<&Entry<S>> {
    of(history, source).min_by_key(|entry| entry.number)
}

/// A context's last entry.
pub(crate) fn last<S>(history: &[Entry<S>], source: Source) -> Option<&Entry<S>> {
    of(history, source).max_by_key(|entry| entry.number)
}

/// The furthest state of any entry.
pub(crate) fn furthest<S: Copy + Ord>(history: &[Entry<S>]) -> Option<S> {
    history.iter().filter_map(|entry| entry.state).max()
}

/// The state of the payment. The kind of each event of a payment contains the resulting state, e.g. `PAYMENT_CAPTURED`.
pub(crate) fn payment_state<S>(history: &[Entry<S>]) -> String {
    let state = last(history, Source::Payment).and_then(|entry| entry.kind.strip_prefix("PAYMENT_"));
    state.unwrap_or_default().to_owned()
}

/// The times of creation and of the last update. Creation is the first event of `source`, or the first of all until
/// that has arrived.
pub(crate) fn times<S>(history: &[Entry<S>], source: Source) -> (Time, Time) {
    let created = first(history, source).or(history.first()).map(|entry| entry.time);
    (created.unwrap_or_default(), history.last().map(|entry| entry.time).unwrap_or_default())
}
