//! A job of the writer thread: a command of a caller, or an event to apply.

use std::sync::Arc;

use jumun_core::{Envelope, Error, trace};
use tokio::sync::oneshot;

use crate::{Decision, Stored, request_key::RequestKey};

/// A pure rule: gets the current state (None if there is no such aggregate) and returns a decision. It may run more
/// than once, so it must return the same decision for the same state.
pub type Decide<A> = Box<dyn FnMut(Option<&A>) -> Result<Decision<A>, Error> + Send>;

/// The outcome of a command.
#[derive(Debug)]
pub struct CommandOutcome<A> {
    /// The aggregate after the command; None if it does not exist.
    pub state: Option<Arc<A>>,
    /// The first reply to the same request, if this was a retry.
    pub(crate) replay: Option<Vec<u8>>,
}

impl<A: Stored> CommandOutcome<A> {
    /// The response to the caller, with the header `idempotency-replayed` if it is the reply to an earlier request.
    pub fn into_response(self) -> Result<tonic::Response<A::Resource>, tonic::Status> {
        let Some(bytes) = self.replay else {
            let state = self.state.ok_or_else(|| Error::internal("the command left no aggregate"))?;
            return Ok(tonic::Response::new(state.resource()));
        };
        let resource = prost::Message::decode(bytes.as_slice()).map_err(Error::internal)?;
        let mut response = tonic::Response::new(resource);
        response.metadata_mut().insert("idempotency-replayed", tonic::metadata::MetadataValue::from_static("true"));
        Ok(response)
    }
}

/// An event to apply through the inbox.
pub struct InboxEvent {
    /// The name of the subscription that received it, e.g. "shelves-on-things".
    pub consumer: String,
    /// The event.
    pub envelope: Arc<Envelope>,
    /// Why it cannot be applied, if that is known already: it becomes a dead letter.
    pub poison: Option<Error>,
    /// The `seq` of the dead letter that this attempt redrives.
    pub redriven: Option<i64>,
}

/// One job of the writer thread.
pub(crate) struct Job<A: Stored> {
    /// The id of the aggregate; None for an event that the subscription ignores.
    pub target: Option<String>,
    /// Whether the target likely does not exist yet: the writer assumes so, and reads it only if that was wrong.
    pub likely_new: bool,
    pub request: Option<RequestKey>,
    pub event: Option<InboxEvent>,
    pub decide: Decide<A>,
    pub traceparent: Option<String>,
    pub answer: Option<oneshot::Sender<Result<CommandOutcome<A>, Error>>>,
}

impl<A: Stored> Job<A> {
    pub(crate) fn command(
        id: String,
        request: Option<RequestKey>,
        decide: impl FnMut(Option<&A>) -> Result<Decision<A>, Error> + Send + 'static,
    ) -> Self {
        Self {
            target: Some(id),
            likely_new: false,
            request,
            event: None,
            decide: Box::new(decide),
            traceparent: trace::traceparent(),
            answer: None,
        }
    }

    pub(crate) fn event(target: Option<String>, event: InboxEvent, decide: Decide<A>) -> Self {
        Self {
            target,
            likely_new: false,
            request: None,
            event: Some(event),
            decide,
            traceparent: trace::traceparent(),
            answer: None,
        }
    }
}
