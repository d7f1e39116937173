//! The event envelope: the form in which the outbox stores an event, the bus carries it and the inbox deduplicates it.

use crate::Time;

/// One committed event, with its metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The context that emitted it, e.g. "things".
    pub context: String,
    /// Its position in the history of its context, which grows from one event to the next; 0 if it is not known.
    pub sequence: i64,
    /// The aggregate's id.
    pub aggregate: String,
    /// Its sequence number within the aggregate: 1, 2, 3 … without gaps.
    pub number: i64,
    /// The event type, e.g. "ThingCreated".
    pub kind: String,
    /// The encoded protobuf message of the event.
    pub payload: Vec<u8>,
    /// When the transaction that emitted it began.
    pub time: Time,
    /// The W3C `traceparent` of the operation that emitted it.
    pub traceparent: Option<String>,
    /// The id of the event that caused it; None if a command did.
    pub causation: Option<String>,
}

impl Envelope {
    /// The globally unique id, `{context}/{aggregate}/{number}`, by which the bus deduplicates.
    pub fn id(&self) -> String {
        format!("{}/{}/{}", self.context, self.aggregate, self.number)
    }

    /// The key within the context: the aggregate's id and the event's number.
    pub fn key(&self) -> (&str, i64) {
        (&self.aggregate, self.number)
    }
}
