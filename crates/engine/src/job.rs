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

/// How an event arrived, which decides what records that it was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// From a broker, which may repeat and reorder events: the consumer's gate of the aggregate records it.
    Broker,
    /// From the history, one after another: the position of the consumer records it.
    InSequence,
    /// From the history, after earlier attempts failed: the gate of the aggregate records it. `more`: whether a later
    /// event of the aggregate waits, too.
    Retry {
        /// Whether a later event of the aggregate waits, too.
        more: bool,
    },
}

/// An event to apply through the inbox.
pub struct InboxEvent {
    /// The name of the subscription that received it, e.g. "shelves-on-things".
    pub consumer: String,
    /// The event.
    pub envelope: Arc<Envelope>,
    /// How it arrived.
    pub arrival: Arrival,
    /// Why it cannot be applied, if that is known already: it becomes a dead letter, or is retried if it may be applied
    /// later.
    pub poison: Option<Error>,
    /// The `seq` of the dead letter that this attempt redrives.
    pub redriven: Option<i64>,
}

/// Events of one source for one consumer that are applied in one transaction with the consumer's step from
/// one position to the next.
pub struct EventBatch<A: Stored> {
    /// The name of the subscription.
    pub consumer: String,
    /// The version of the consumer's stored state.
    pub version: i64,
    /// The stored position of the consumer.
    pub from: i64,
    /// The position after these events; the same for retries.
    pub to: i64,
    pub(crate) jobs: Vec<Job<A>>,
}

/// The outcome of a batch.
#[derive(Debug)]
pub struct AppliedBatch {
    /// The result of each event: after an error the event, and later ones of its aggregate, are stored as retrying.
    pub results: Vec<Result<(), Error>>,
    /// The version of the consumer's stored state after it.
    pub version: i64,
}

impl<A: Stored> EventBatch<A> {
    /// A batch without events.
    pub fn new(consumer: String, version: i64, from: i64, to: i64) -> Self {
        Self { consumer, version, from, to, jobs: Vec::new() }
    }

    /// Adds an event; without a `target` it changes no aggregate.
    pub fn push(
        &mut self,
        target: Option<String>,
        envelope: Arc<Envelope>,
        arrival: Arrival,
        outcome: Result<Decide<A>, Error>,
        traceparent: Option<String>,
    ) {
        let (decide, poison): (Decide<A>, _) = match outcome {
            Ok(decide) => (decide, None),
            Err(error) => (Box::new(|_| Ok(Decision::Leave)), Some(error)),
        };
        let event = InboxEvent { consumer: self.consumer.clone(), envelope, arrival, poison, redriven: None };
        self.jobs.push(Job { traceparent, ..Job::event(target, event, decide) });
    }

    /// Whether the batch has no events.
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }
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
