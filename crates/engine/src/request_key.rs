//! What happens once for a subject, whoever asks and however often, and can be taken back once, even before it happened.
//!
//! A context that gives something away synchronously (something that may run out) needs this of its aggregate: the caller repeats its
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

use jumun_core::{Error, name::fingerprint, reasons, request_context};

/// Names a request, so that its repetition gets the first answer.
#[derive(Clone, Debug)]
pub struct RequestKey {
    /// `Method/request_id`, and whose request it is: nobody is given another's answer.
    pub(crate) id: String,
    /// Tells a repetition from another request under the same id.
    pub(crate) fingerprint: String,
    /// What is remembered is the id of what the request created, not the answer.
    pub(crate) creates: bool,
    /// What it has to do with another request.
    pub(crate) pairing: Pairing,
}

impl RequestKey {
    /// The key of a request whose `request_id` was checked; None when the caller gave none.
    pub fn new(method: &str, request_id: &str, request: &impl prost::Message) -> Option<Self> {
        (!request_id.is_empty()).then(|| Self {
            id: match request_context::caller().scope() {
                Some(subject) => format!("{method}/{request_id}/{subject}"),
                None => format!("{method}/{request_id}"),
            },
            fingerprint: fingerprint(request),
            creates: false,
            pairing: Pairing::Alone,
        })
    }
}

/// What a request has to do with another one.
#[derive(Clone, Debug)]
pub(crate) enum Pairing {
    Alone,
    /// It happens once, and never after the request of this id.
    UnlessReleasedBy(String),
    /// It takes back what the request of this id did.
    Releases(String),
}

impl RequestKey {
    /// The key of what happens once for `subject`; `exactly` says what, and is the same when it is taken back.
    pub fn reservation(what: &str, subject: &str, exactly: &impl Message) -> Self {
        let pairing = Pairing::UnlessReleasedBy(release_id(what, subject));
        Self { id: reservation_id(what, subject), fingerprint: fingerprint(exactly), creates: false, pairing }
    }

    /// The key of taking that back. When it did not happen, nothing is decided, and it never will happen.
    pub fn release(what: &str, subject: &str, exactly: &impl Message) -> Self {
        let pairing = Pairing::Releases(reservation_id(what, subject));
        Self { id: release_id(what, subject), fingerprint: fingerprint(exactly), creates: false, pairing }
    }

    /// The ids under which something may be remembered that matters to it.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &str> {
        let other = match &self.pairing {
            Pairing::Alone => None,
            Pairing::UnlessReleasedBy(other) | Pairing::Releases(other) => Some(other.as_str()),
        };
        std::iter::once(self.id.as_str()).chain(other)
    }

    /// It came before with another body.
    pub(crate) fn performed_differently(&self) -> Error {
        match self.pairing {
            Pairing::Alone => Error::request_id_reused(),
            _ => Error::new(&reasons::DONE_OTHERWISE, "this was done before with another body"),
        }
    }
}

// A method's name has no colon: no other request is called so.
fn reservation_id(what: &str, subject: &str) -> String {
    format!("once:{what}/{subject}")
}

fn release_id(what: &str, subject: &str) -> String {
    format!("back:{what}/{subject}")
}
