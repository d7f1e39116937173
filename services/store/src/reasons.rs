//! Why the store context refuses.

jumun_core::reasons! {
    TICKET_NOT_OPEN: FailedPrecondition,
        "A ticket is to be accepted or rejected that is not OPEN; `state` says where it is.",
        "Get the ticket again.";
    TICKET_NOT_ACCEPTED: FailedPrecondition,
        "A ticket is to be cooked that is not ACCEPTED; `state` says where it is.",
        "Get the ticket again.";
    TICKET_NOT_COOKING: FailedPrecondition,
        "A ticket is to be finished that is not COOKING; `state` says where it is.",
        "Get the ticket again.";
}
