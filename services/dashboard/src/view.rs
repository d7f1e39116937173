//! A view: the events of several contexts about one order, enrollment or registration, folded.

use engine::Stored;
use jumun_core::{Envelope, Error};

use crate::history::{self, Entry, Source};

/// What one event changes in a view.
pub struct ViewUpdate<V: View> {
    /// The id of the view, which is that of its subject.
    pub id: String,
    /// The entry in the history.
    pub entry: Entry<V::State>,
    /// The summary of the subject, if the event contains one.
    pub summary: Option<V::Summary>,
}

/// An aggregate that is folded from the events of other contexts.
pub trait View: Stored<Event = ()> + PartialEq {
    /// The contexts whose events are folded.
    const SOURCES: &'static [&'static str];
    /// The states of the subject; a later one outweighs those before it.
    type State: Copy + Ord + Send + Sync + 'static;
    /// The summary in the subject's first event.
    type Summary: Send + Sync + 'static;

    /// Reads an event; None when it concerns no such view, or is of a kind that this version does not know.
    fn read(message: &Envelope) -> Result<Option<ViewUpdate<Self>>, Error>;

    /// A view before its first event.
    fn empty(id: &str) -> Self;

    /// Its resource name.
    fn name(&self) -> String;

    /// The history: at most [`crate::MAX_HISTORY`] entries, sorted.
    fn history(&mut self) -> &mut Vec<Entry<Self::State>>;

    /// Copies the summary.
    fn set_summary(&mut self, summary: &Self::Summary);

    /// Recomputes the fields that follow from the history.
    fn derive_from_history(&mut self);

    /// The view after one more event; None when the event concerns no view. The order of the events does not matter
    /// (rule S9), and a repeated event changes nothing.
    fn fold(view: Option<&Self>, message: &Envelope) -> Result<Option<Self>, Error> {
        let Some(update) = Self::read(message)? else { return Ok(None) };
        Self::after(view, &update).map(Some)
    }

    /// The view after an update.
    fn after(view: Option<&Self>, update: &ViewUpdate<Self>) -> Result<Self, Error> {
        let mut view = view.cloned().unwrap_or_else(|| Self::empty(&update.id));
        debug_assert_eq!(view.id(), update.id, "an event is folded into its own view");
        let name = view.name();
        if history::insert(view.history(), &update.entry, || name)? {
            if let Some(summary) = &update.summary {
                view.set_summary(summary);
            }
            view.derive_from_history();
        }
        Ok(view)
    }
}

impl<V: View> ViewUpdate<V> {
    /// An event of this kind about `id`, with the state that it leads to, if any.
    pub(crate) fn new(message: &Envelope, source: Source, id: &str, kind: &str, state: Option<V::State>) -> Self {
        let (time, number) = (message.time, message.number);
        let entry = Entry { time, source, number, kind: kind.to_owned(), state, rider: None };
        Self { id: id.to_owned(), entry, summary: None }
    }
}
