//! One thing for the writer to do: a command of a caller, or an event that arrived.

use std::sync::Arc;

use jumun_core::{Envelope, Error, trace};
use tokio::sync::oneshot;

use crate::{Decision, Stored, request_key::RequestKey};

/// A pure rule: looks at the present state (None: there is no such aggregate) and decides.
/// It may run more than once, so it must give the same decision for the same state.
pub type Decide<A> = Box<dyn FnMut(Option<&A>) -> Result<Decision<A>, Error> + Send>;

/// What became of a job.
#[derive(Debug)]
pub struct Done<A> {
    /// The aggregate as it is now; None when it does not exist.
    pub state: Option<Arc<A>>,
    /// The first answer to the same request, when this was a repetition.
    pub(crate) replay: Option<Vec<u8>>,
}

impl<A: Stored> Done<A> {
    /// The answer for the caller, marked with `idempotency-replayed` when it was given before.
    pub fn into_response(self) -> Result<tonic::Response<A::Resource>, tonic::Status> {
        let Some(bytes) = self.replay else {
            let state = self.state.ok_or_else(|| Error::internal("a command left nothing behind"))?;
            return Ok(tonic::Response::new(state.resource()));
        };
        let resource = prost::Message::decode(bytes.as_slice()).map_err(Error::internal)?;
        let mut response = tonic::Response::new(resource);
        response.metadata_mut().insert("idempotency-replayed", tonic::metadata::MetadataValue::from_static("true"));
        Ok(response)
    }
}

/// Where an event came in, and what is to be written about it.
pub struct Arrival {
    /// Who hears it, e.g. "shelves-on-things".
    pub consumer: String,
    /// The event.
    pub message: Arc<Envelope>,
    /// Why it cannot be applied, when that is known already.
    pub poison: Option<Error>,
    /// The dead letter that this is a new attempt of.
    pub redriven: Option<i64>,
}

/// One thing to do.
pub(crate) struct Job<A: Stored> {
    /// The aggregate it is about; None for an event that the consumer ignores.
    pub target: Option<String>,
    /// Whether it most likely begins that, which is not there yet: it is looked for when this turns out to be wrong.
    pub begins: bool,
    pub request: Option<RequestKey>,
    pub arrival: Option<Arrival>,
    pub decide: Decide<A>,
    pub traceparent: Option<String>,
    pub answer: Option<oneshot::Sender<Result<Done<A>, Error>>>,
}

impl<A: Stored> Job<A> {
    pub(crate) fn command(
        id: String,
        request: Option<RequestKey>,
        decide: impl FnMut(Option<&A>) -> Result<Decision<A>, Error> + Send + 'static,
    ) -> Self {
        Self {
            target: Some(id),
            begins: false,
            request,
            arrival: None,
            decide: Box::new(decide),
            traceparent: trace::traceparent(),
            answer: None,
        }
    }

    pub(crate) fn event(target: Option<String>, arrival: Arrival, decide: Decide<A>) -> Self {
        Self {
            target,
            begins: false,
            request: None,
            arrival: Some(arrival),
            decide,
            traceparent: trace::traceparent(),
            answer: None,
        }
    }
}
