//! Errors of the customer context.

jumun_core::reasons! {
    CUSTOMER_NOT_REACHED: FailedPrecondition,
        "The welcome was refused; `refusal` contains the reason. The customer is not registered.",
        "Let the customer accept messages, then register again with a new `request_id`.";
    CUSTOMER_NOT_REGISTERED: Aborted retry 1000 ms,
        "Delivery of the welcome could not be confirmed; it was withdrawn, and the customer is not registered.",
        "Register again with a new `request_id`.";
    NOTIFICATION_UNAVAILABLE: Unavailable retry 2000 ms,
        "Notification cannot be reached. The customer, if named, is still pending; otherwise none was created.",
        "Repeat the same request, with the same `request_id`, to get the result.";
    NOTIFICATION_TIMED_OUT: DeadlineExceeded retry 2000 ms,
        "Notification did not answer in time; `customer` is still pending.",
        "Repeat the same request, with the same `request_id`, to get the result.";
    NOTIFICATION_OVERLOADED: ResourceExhausted retry 2000 ms,
        "Notification is overloaded; `customer` is still pending.",
        "Repeat the same request, with the same `request_id`, after the delay in RetryInfo.";
    CUSTOMER_PENDING: FailedPrecondition,
        "The registration cannot be cancelled while its welcome is pending.",
        "Get the customer until it is REGISTERED or REJECTED.";
    CUSTOMER_NOT_CANCELLABLE: FailedPrecondition,
        "The customer was never registered; `state` contains the state.",
        "Nothing needs to be cancelled.";
}
