//! Why the order context refuses.

kit::reasons! {
    PAYMENT_DECLINED: FailedPrecondition,
        "The card was refused; `decline_reason` says why. The order is REJECTED, and nothing is charged.",
        "Order again with another payment method and a new `request_id`.";
    ORDER_NOT_PLACED: Aborted retry 1000 ms,
        "Payment could not be confirmed, so the order is REJECTED, and nothing is charged.",
        "Order again, with a new `request_id`.";
    PAYMENT_UNAVAILABLE: Unavailable retry 2000 ms,
        "Payment cannot be reached; `order`, where it is named, waits for its word, and else none was made.",
        "Repeat the same request, with the same `request_id`, to learn what became of it.";
    PAYMENT_TIMED_OUT: DeadlineExceeded retry 2000 ms,
        "Payment did not answer in time; `order` waits for its word.",
        "Repeat the same request, with the same `request_id`, to learn what became of it.";
    PAYMENT_OVERLOADED: ResourceExhausted retry 2000 ms,
        "Payment has too much to do; `order` waits for its word.",
        "Repeat the same request, with the same `request_id`, less often.";
    ORDER_PENDING: FailedPrecondition,
        "An order is to be cancelled whose payment has not answered.",
        "Watch the order until it is PLACED or REJECTED.";
    ORDER_NOT_CANCELLABLE: FailedPrecondition,
        "An order is to be cancelled that is being cooked, or further; `state` says how far.",
        "Tell the customer.";
}
