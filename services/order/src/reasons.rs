//! Errors of the order context; errors about payments are in `payment_saga::reasons`.

jumun_core::reasons! {
    ORDER_NOT_PLACED: Aborted retry 1000 ms,
        "Payment could not be confirmed; the order is REJECTED and nothing is charged.",
        "Create the order again with a new `request_id`.";
    ORDER_PENDING: FailedPrecondition,
        "The order cannot be cancelled while its payment is pending.",
        "Watch the order until it is PLACED or REJECTED.";
    ORDER_NOT_CANCELLABLE: FailedPrecondition,
        "The order can no longer be cancelled; `state` contains its state.",
        "Inform the customer.";
    KITCHEN_UNAVAILABLE: Unavailable retry 2000 ms,
        "The kitchen did not answer whether the order can still be cancelled; the order is CANCELLED if it agreed.",
        "Repeat the same request.";
}
