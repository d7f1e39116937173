//! Why the delivery context refuses.

jumun_core::reasons! {
    DELIVERY_NOT_SCHEDULED: FailedPrecondition,
        "A delivery is to be started that has a rider, or is over; `state` says where it is.",
        "Take another delivery.";
    DELIVERY_NOT_STARTED: FailedPrecondition,
        "A delivery is to be picked up that is not STARTED; `state` says where it is.",
        "Get the delivery again.";
    NOT_READY: FailedPrecondition,
        "A delivery is to be picked up that is not cooked yet.",
        "Wait until the delivery is `ready`.";
    DELIVERY_NOT_PICKED_UP: FailedPrecondition,
        "A delivery is to be completed that is not PICKED_UP; `state` says where it is.",
        "Get the delivery again.";
}
