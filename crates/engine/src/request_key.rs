//! Idempotency keys: a request is performed once per key, and a retry gets the first reply. Reservations can also be
//! released.
//!
//! A context that lets others reserve something that may run out needs both: the caller retries a reservation whose
//! reply was lost, releases it when it no longer needs it, and the release may arrive before the retry. A reservation
//! is made at most once per subject and can be released once; a release that arrives first
//! prevents the reservation. Both are recorded with the requests and not in the aggregate, which stays small however
//! many reservations it had, and in the same transaction as the aggregate.
//!
//! ```text
//!                   reserve               release
//! (nothing) ──────────────────▶ reserved ─────────▶ released: final
//!     └────────────── release, without a reservation ──────▲
//! ```
//!
//! A release without a reservation also inserts the row of the reservation. So if one replica reserves while another
//! releases, both insert the same row, and one of them conflicts and runs again.

use prost::Message;

use jumun_core::{Error, name::fingerprint, reasons, request_context};

/// The idempotency key of a request: a retry with the same key gets the first reply.
#[derive(Clone, Debug)]
pub struct RequestKey {
    /// `Method/request_id/subject`: no caller gets the reply to another caller's request.
    pub(crate) id: String,
    /// A hash of the parameters, which distinguishes a retry from another request with the same id.
    pub(crate) fingerprint: String,
    /// Whether the stored reply is the id of the created aggregate, and not the response.
    pub(crate) creates: bool,
    /// Whether the request makes or releases a reservation.
    pub(crate) step: ReservationStep,
}

impl RequestKey {
    /// The key of a request with a validated `request_id`; None if the caller sent none.
    pub fn new(method: &str, request_id: &str, request: &impl prost::Message) -> Option<Self> {
        (!request_id.is_empty()).then(|| Self {
            id: match request_context::caller().scope() {
                Some(subject) => format!("{method}/{request_id}/{subject}"),
                None => format!("{method}/{request_id}"),
            },
            fingerprint: fingerprint(request),
            creates: false,
            step: ReservationStep::None,
        })
    }
}

/// Whether a request makes or releases a reservation.
#[derive(Clone, Debug)]
pub(crate) enum ReservationStep {
    None,
    /// Makes a reservation, unless the request with this id has released it.
    Reserve(String),
    /// Releases the reservation that the request with this id made.
    Release(String),
}

impl RequestKey {
    /// The key of the reservation `what` for `subject`; its release must have the same `parameters`.
    pub fn reservation(what: &str, subject: &str, parameters: &impl Message) -> Self {
        let step = ReservationStep::Reserve(release_id(what, subject));
        Self { id: reservation_id(what, subject), fingerprint: fingerprint(parameters), creates: false, step }
    }

    /// The key of the release of that reservation. If it was not made, no rule runs, and it never can be made.
    pub fn release(what: &str, subject: &str, parameters: &impl Message) -> Self {
        let step = ReservationStep::Release(reservation_id(what, subject));
        Self { id: release_id(what, subject), fingerprint: fingerprint(parameters), creates: false, step }
    }

    /// The ids of all requests whose replies matter to this one.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &str> {
        let other = match &self.step {
            ReservationStep::None => None,
            ReservationStep::Reserve(other) | ReservationStep::Release(other) => Some(other.as_str()),
        };
        std::iter::once(self.id.as_str()).chain(other)
    }

    /// The error if it was already performed with different parameters.
    pub(crate) fn parameters_differ(&self) -> Error {
        match self.step {
            ReservationStep::None => Error::request_id_reused(),
            _ => Error::new(&reasons::DONE_OTHERWISE, "already performed with different parameters; nothing changed"),
        }
    }
}

// Method names contain no colon, so these ids never equal those of other requests.
fn reservation_id(what: &str, subject: &str) -> String {
    format!("once:{what}/{subject}")
}

fn release_id(what: &str, subject: &str) -> String {
    format!("back:{what}/{subject}")
}
