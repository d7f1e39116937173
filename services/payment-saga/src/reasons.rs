//! Why something that is to be paid for does not stand, or not yet. ErrorInfo's metadata names it, e.g. as `order`.

jumun_core::reasons! {
    PAYMENT_DECLINED: FailedPrecondition,
        "The card was refused; `decline_reason` says why. The order or enrollment is REJECTED, and nothing is charged.",
        "Ask again with another payment method and a new `request_id`.";
    PAYMENT_UNAVAILABLE: Unavailable retry 2000 ms,
        "Payment cannot be reached; the order or enrollment, where one is named, waits for its word, and else none was made.",
        "Repeat the same request, with the same `request_id`, to learn what became of it.";
    PAYMENT_TIMED_OUT: DeadlineExceeded retry 2000 ms,
        "Payment did not answer in time; the order or enrollment that is named waits for its word.",
        "Repeat the same request, with the same `request_id`, to learn what became of it.";
    PAYMENT_OVERLOADED: ResourceExhausted retry 2000 ms,
        "Payment has too much to do; the order or enrollment that is named waits for its word.",
        "Repeat the same request, with the same `request_id`, less often.";
}
