//! Errors of the delivery context.

jumun_core::reasons! {
    DELIVERY_NOT_SCHEDULED: FailedPrecondition,
        "Only a SCHEDULED delivery can be started; `state` contains its state.",
        "Choose another delivery.";
    DELIVERY_NOT_STARTED: FailedPrecondition,
        "Only a STARTED delivery can be picked up; `state` contains its state.",
        "Get the delivery again.";
    NOT_READY: FailedPrecondition,
        "The food is not cooked yet, so it cannot be picked up.",
        "Wait until the delivery is `ready`.";
    DELIVERY_NOT_PICKED_UP: FailedPrecondition,
        "Only a PICKED_UP delivery can be completed; `state` contains its state.",
        "Get the delivery again.";
}
