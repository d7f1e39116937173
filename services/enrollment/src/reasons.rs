//! Errors of the enrollment context; errors about payments are in `payment_saga::reasons`.

jumun_core::reasons! {
    ENROLLMENT_NOT_MADE: Aborted retry 1000 ms,
        "Payment could not be confirmed; the enrollment is REJECTED and nothing is charged.",
        "Create the enrollment again with a new `request_id`.";
    ENROLLMENT_PENDING: FailedPrecondition,
        "The enrollment cannot be cancelled while its payment is pending.",
        "Get the enrollment until it is ENROLLED or REJECTED.";
    ENROLLMENT_NOT_CANCELLABLE: FailedPrecondition,
        "The enrollment was rejected or its course is completed; `state` contains its state.",
        "Inform the learner.";
}
