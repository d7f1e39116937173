//! Errors of the kitchen context.

jumun_core::reasons! {
    PRODUCTION_NOT_CANCELLABLE: FailedPrecondition,
        "The production has started or ended, so it cannot be cancelled; `state` contains its state.",
        "Inform the customer.";
    PRODUCTION_NOT_STARTED: FailedPrecondition,
        "Only a STARTED production can be completed; `state` contains its state.",
        "Get the production again.";
    PRODUCTION_ENDED: FailedPrecondition,
        "The production has ended, so it cannot fail; `state` contains its state.",
        "Get the production again.";
    WAREHOUSE_UNAVAILABLE: Unavailable retry 1000 ms,
        "The warehouse cannot be reached; no caller sees this.",
        "Nothing: the kitchen repeats the call.";
}
