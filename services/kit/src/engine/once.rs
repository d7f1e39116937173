//! What happens once for a subject, whoever asks and however often, and can be taken back once, even before it happened.
//!
//! A context that gives something away synchronously (stock, a seat) needs this of its aggregate: the caller repeats its
//! request when it did not hear the answer, and takes it back when it no longer wants it, and either may overtake the
//! other. What was given to whom is remembered with the requests, not in the aggregate, which stays as small as it is
//! however many took from it; and in the same transaction, so that neither is ever there without the other.
//!
//! ```text
//!                    happens once                 taken back once
//! (nothing) ──────────────────────▶ remembered ──────────────────▶ both remembered: never again
//!     └────────────── taken back before it happened ──────────────────────▲
//! ```
//!
//! Taking back what did not happen occupies the place of what it forbids. So two replicas that do one and the other at the
//! same time want the same row, and one of them finds out.

use prost::Message;

use super::{Done, RequestKey, batch::Batch};
use crate::{Error, Stored, name::fingerprint, reasons};

/// What a request has to do with another one.
#[derive(Clone, Debug)]
pub(crate) enum Pairing {
    Alone,
    /// It happens once, and never after the request of this id.
    UnlessTakenBackBy(String),
    /// It takes back what the request of this id did.
    TakesBack(String),
}

impl RequestKey {
    /// The key of what happens once for `subject`; `exactly` says what, and is the same when it is taken back.
    pub fn once(what: &str, subject: &str, exactly: &impl Message) -> Self {
        let pairing = Pairing::UnlessTakenBackBy(back_id(what, subject));
        Self { id: once_id(what, subject), fingerprint: fingerprint(exactly), creates: false, pairing }
    }

    /// The key of taking that back. When it did not happen, nothing is decided, and it never will happen.
    pub fn taking_back(what: &str, subject: &str, exactly: &impl Message) -> Self {
        let pairing = Pairing::TakesBack(once_id(what, subject));
        Self { id: back_id(what, subject), fingerprint: fingerprint(exactly), creates: false, pairing }
    }

    /// The ids under which something may be remembered that matters to it.
    pub(super) fn ids(&self) -> impl Iterator<Item = &str> {
        let other = match &self.pairing {
            Pairing::Alone => None,
            Pairing::UnlessTakenBackBy(other) | Pairing::TakesBack(other) => Some(other.as_str()),
        };
        std::iter::once(self.id.as_str()).chain(other)
    }

    /// It came before with another body.
    pub(super) fn done_otherwise(&self) -> Error {
        match self.pairing {
            Pairing::Alone => Error::request_id_reused(),
            _ => Error::new(&reasons::DONE_OTHERWISE, "this was done before with another body"),
        }
    }
}

// A method's name has no colon: no other request is called so.
fn once_id(what: &str, subject: &str) -> String {
    format!("once:{what}/{subject}")
}

fn back_id(what: &str, subject: &str) -> String {
    format!("back:{what}/{subject}")
}

impl<A: Stored> Batch<A> {
    pub(super) fn refuse_what_was_taken_back(&self, key: &RequestKey) -> Result<(), Error> {
        match &key.pairing {
            Pairing::UnlessTakenBackBy(back) if self.reply(back).is_some() => {
                Err(Error::new(&reasons::TAKEN_BACK, "this was taken back before; it never happens any more"))
            }
            _ => Ok(()),
        }
    }

    /// Whether there is something to decide: not, when something is to be taken back that did not happen.
    pub(super) fn is_there_to_take_back(&self, key: &RequestKey) -> Result<bool, Error> {
        let Pairing::TakesBack(taken) = &key.pairing else { return Ok(true) };
        match self.reply(taken) {
            None => Ok(false),
            Some((fingerprint, _)) if *fingerprint == key.fingerprint => Ok(true),
            Some(_) => Err(key.done_otherwise()),
        }
    }

    /// Remembers that something is taken back which did not happen; answers with the aggregate as it is, if it is.
    pub(super) fn forbid(&mut self, key: &RequestKey, target: Option<&str>) -> Done<A> {
        let state = target.and_then(|id| self.state(id));
        let reply = state.as_ref().map(|state| state.resource().encode_to_vec()).unwrap_or_default();
        if let Pairing::TakesBack(taken) = &key.pairing {
            self.remember(&RequestKey { id: taken.clone(), ..key.clone() }, reply.clone());
        }
        self.remember(key, reply);
        // Of what is not there, there is nothing to show.
        let replay = state.is_none().then(Vec::new);
        Done { state, replay }
    }
}
