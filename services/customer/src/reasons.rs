//! Why the customer context refuses.

jumun_core::reasons! {
    CUSTOMER_NOT_REACHED: FailedPrecondition,
        "The welcome was refused; `refusal` says why. The customer is not registered.",
        "Let the customer accept messages, then register again with a new `request_id`.";
    CUSTOMER_NOT_REGISTERED: Aborted retry 1000 ms,
        "Whether the welcome arrived could not be confirmed, so it was withdrawn and the customer is not registered.",
        "Register again, with a new `request_id`.";
    NOTIFICATION_UNAVAILABLE: Unavailable retry 2000 ms,
        "Notification cannot be reached; `customer`, where it is named, waits for its word, and else none was made.",
        "Repeat the same request, with the same `request_id`, to learn what became of it.";
    NOTIFICATION_TIMED_OUT: DeadlineExceeded retry 2000 ms,
        "Notification did not answer in time; `customer` waits for its word.",
        "Repeat the same request, with the same `request_id`, to learn what became of it.";
    NOTIFICATION_OVERLOADED: ResourceExhausted retry 2000 ms,
        "Notification has too much to do; the registration of `customer` is put off.",
        "Repeat the same request, with the same `request_id`, when RetryInfo says.";
    CUSTOMER_PENDING: FailedPrecondition,
        "A registration is to be cancelled whose welcome has not been confirmed.",
        "Get the customer until it is REGISTERED or REJECTED.";
    CUSTOMER_NOT_CANCELLABLE: FailedPrecondition,
        "A registration is to be cancelled that never stood; `state` says how it is.",
        "Nothing is to be cancelled.";
}
