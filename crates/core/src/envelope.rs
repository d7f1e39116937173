//! An event on its way: what the outbox stores, the bus carries and the inbox counts.

use crate::Time;

/// One committed event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The context that announced it, e.g. "things".
    pub context: String,
    /// The aggregate's id.
    pub aggregate: String,
    /// Its place among the aggregate's events: 1, 2, 3 … without gaps.
    pub number: i64,
    /// What happened, e.g. "ThingCreated".
    pub kind: String,
    /// The event, encoded.
    pub payload: Vec<u8>,
    /// When it was decided.
    pub time: Time,
    /// W3C trace context of the work that announced it.
    pub traceparent: Option<String>,
    /// The id of the event that led to it.
    pub causation: Option<String>,
}

impl Envelope {
    /// Unique everywhere: `{context}/{aggregate}/{number}`. The bus deduplicates by it.
    pub fn id(&self) -> String {
        format!("{}/{}/{}", self.context, self.aggregate, self.number)
    }

    /// Unique in its context: the aggregate, and the event's number there.
    pub fn key(&self) -> (&str, i64) {
        (&self.aggregate, self.number)
    }
}
