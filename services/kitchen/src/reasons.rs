//! Why the kitchen context refuses.

jumun_core::reasons! {
    PRODUCTION_NOT_CANCELLABLE: FailedPrecondition,
        "A production is to be cancelled that has started, or further; `state` says how far.",
        "Tell the customer.";
    PRODUCTION_NOT_STARTED: FailedPrecondition,
        "A production is to be completed that is not STARTED; `state` says where it is.",
        "Get the production again.";
    PRODUCTION_ENDED: FailedPrecondition,
        "A production is to be given up that came to its end; `state` says to which.",
        "Get the production again.";
    WAREHOUSE_UNAVAILABLE: Unavailable retry 1000 ms,
        "The warehouse cannot be reached; no caller sees this.",
        "Nothing: the kitchen asks again.";
}
