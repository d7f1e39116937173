//! The type name of a domain event.

/// A domain event that knows its type name. The build of the contracts implements it for the event message of each
/// context.
pub trait EventKind {
    /// The name of the message in the event's `kind`, e.g. "ThingMoved"; empty if `kind` is not set. It is stored, and
    /// part of the subjects on the bus.
    fn kind(&self) -> &'static str;
}

/// For aggregates that emit no events.
impl EventKind for () {
    fn kind(&self) -> &'static str {
        ""
    }
}
