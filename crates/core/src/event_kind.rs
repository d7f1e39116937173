//! What an event says happened.

/// An event that says what happened. The contracts' build implements it for the message of each context.
pub trait EventKind {
    /// The name of what happened, which is the message in the event's `kind`, e.g. "ThingMoved"; empty when it does not
    /// say. It is stored and part of the bus's subjects.
    fn kind(&self) -> &'static str;
}

/// An aggregate that announces nothing.
impl EventKind for () {
    fn kind(&self) -> &'static str {
        ""
    }
}
