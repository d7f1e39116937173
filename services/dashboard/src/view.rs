//! A view: what the events of several contexts tell about one thing.

use engine::Stored;
use jumun_core::{Envelope, Error};

use crate::history::{self, Entry, Source};

/// What one event tells a view.
pub struct Happening<V: View> {
    /// The view's id: that of what it happened to.
    pub id: String,
    /// What happened.
    pub entry: Entry<V::State>,
    /// What it is about, if the event says so.
    pub summary: Option<V::Summary>,
}

/// An aggregate that is folded from other contexts' events.
pub trait View: Stored<Event = ()> + PartialEq {
    /// The contexts whose events make it.
    const SOURCES: &'static [&'static str];
    /// How far it can be; a later one outweighs those before it.
    type State: Copy + Ord + Send + Sync + 'static;
    /// What the event says that it begins with.
    type Summary: Send + Sync + 'static;

    /// Reads an event; None when it is about no such thing, or of a kind that this version does not know.
    fn read(message: &Envelope) -> Result<Option<Happening<Self>>, Error>;

    /// The view of something that nothing was heard of yet.
    fn unheard_of(id: &str) -> Self;

    /// Its resource name.
    fn name(&self) -> String;

    /// Everything that happened, at most [`crate::MAX_HISTORY`] entries, sorted.
    fn history(&mut self) -> &mut Vec<Entry<Self::State>>;

    /// Takes over what it is about.
    fn take(&mut self, summary: &Self::Summary);

    /// Works out anew what follows from the history.
    fn follow_history(&mut self);

    /// The view after one more event; None when the event concerns no view. The order of the events does not matter
    /// (rule S9), and one that comes again changes nothing.
    fn fold(view: Option<&Self>, message: &Envelope) -> Result<Option<Self>, Error> {
        let Some(happening) = Self::read(message)? else { return Ok(None) };
        Self::after(view, &happening).map(Some)
    }

    /// The view after what an event tells.
    fn after(view: Option<&Self>, happening: &Happening<Self>) -> Result<Self, Error> {
        let mut view = view.cloned().unwrap_or_else(|| Self::unheard_of(&happening.id));
        debug_assert_eq!(view.id(), happening.id, "an event is folded into its own view");
        let name = view.name();
        if history::insert(view.history(), &happening.entry, || name)? {
            if let Some(summary) = &happening.summary {
                view.take(summary);
            }
            view.follow_history();
        }
        Ok(view)
    }
}

impl<V: View> Happening<V> {
    /// Something of this kind that happened to `id`, and perhaps brought it this far.
    pub(crate) fn new(message: &Envelope, source: Source, id: &str, kind: &str, state: Option<V::State>) -> Self {
        let (time, number) = (message.time, message.number);
        let entry = Entry { time, source, number, kind: kind.to_owned(), state, rider: None };
        Self { id: id.to_owned(), entry, summary: None }
    }
}
