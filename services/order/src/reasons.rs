//! Why the order context refuses; what has to do with payment is in `payment_saga::reasons`.

jumun_core::reasons! {
    ORDER_NOT_PLACED: Aborted retry 1000 ms,
        "Payment could not be confirmed, so the order is REJECTED, and nothing is charged.",
        "Order again, with a new `request_id`.";
    ORDER_PENDING: FailedPrecondition,
        "An order is to be cancelled whose payment has not answered.",
        "Watch the order until it is PLACED or REJECTED.";
    ORDER_NOT_CANCELLABLE: FailedPrecondition,
        "An order is to be cancelled that is being made, or further; `state` says how far.",
        "Tell the customer.";
    KITCHEN_UNAVAILABLE: Unavailable retry 2000 ms,
        "The kitchen cannot be asked whether an order can still be cancelled; nothing changed that we know of.",
        "Repeat the same request.";
}
