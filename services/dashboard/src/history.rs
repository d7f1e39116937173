//! What happened to one thing that a view is about, as its history tells.

use jumun_core::{Error, Time};
use serde::{Deserialize, Serialize};

use crate::reasons;

/// Entries of one history. A whole course has a dozen; beyond this something announces in circles.
pub const MAX_HISTORY: usize = 64;

/// The context that an entry comes from, in the order of a course: it decides between events of the same time.
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

/// Something that happened. Entries are sorted by their fields, from the first on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Entry<S> {
    /// When, by the clock of the context that announced it.
    #[serde(with = "Micros")]
    pub time: Time,
    /// Where.
    pub source: Source,
    /// Its place among the events of the source about this; with the source it names the event.
    pub number: i64,
    /// What, e.g. `COOKING_STARTED`.
    pub kind: String,
    /// How far it is by this, if it says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<S>,
    /// The rider that it names, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rider: Option<String>,
}

/// How an entry stores its time.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Time")]
struct Micros(i64);

/// Puts an entry into its place; false when it is there already.
pub(crate) fn insert<S: Clone + Ord>(
    history: &mut Vec<Entry<S>>,
    entry: &Entry<S>,
    view: impl FnOnce() -> String,
) -> Result<bool, Error> {
    let Err(place) = history.binary_search(entry) else { return Ok(false) };
    if history.len() >= MAX_HISTORY {
        let message = format!("{} has {MAX_HISTORY} entries already", view());
        return Err(Error::new(&reasons::HISTORY_FULL, message));
    }
    history.insert(place, entry.clone());
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

/// The furthest state that any entry tells.
pub(crate) fn furthest<S: Copy + Ord>(history: &[Entry<S>]) -> Option<S> {
    history.iter().filter_map(|entry| entry.state).max()
}

/// Where the money is. Each event of a payment has the name of the state that it leads to, e.g. `PAYMENT_CAPTURED`.
pub(crate) fn payment_state<S>(history: &[Entry<S>]) -> String {
    let state = last(history, Source::Payment).and_then(|entry| entry.kind.strip_prefix("PAYMENT_"));
    state.unwrap_or_default().to_owned()
}

/// When the source told that there is such a thing, or else when anything was heard of it first; and when anything was
/// heard of it last.
pub(crate) fn times<S>(history: &[Entry<S>], source: Source) -> (Time, Time) {
    let created = first(history, source).or(history.first()).map(|entry| entry.time);
    (created.unwrap_or_default(), history.last().map(|entry| entry.time).unwrap_or_default())
}
