//! Errors of the store context.

jumun_core::reasons! {
    TICKET_NOT_OPEN: FailedPrecondition,
        "Only an OPEN ticket can be accepted or rejected; `state` contains its state.",
        "Get the ticket again.";
    TICKET_NOT_ACCEPTED: FailedPrecondition,
        "Cooking can start only when the ticket is ACCEPTED; `state` contains its state.",
        "Get the ticket again.";
    TICKET_NOT_COOKING: FailedPrecondition,
        "Cooking can finish only when the ticket is COOKING; `state` contains its state.",
        "Get the ticket again.";
}
