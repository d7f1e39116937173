//! Why the enrollment context refuses; what has to do with payment is in `payment_saga::reasons`.

jumun_core::reasons! {
    ENROLLMENT_NOT_MADE: Aborted retry 1000 ms,
        "Payment could not be confirmed, so the enrollment is REJECTED, and nothing is charged.",
        "Apply again, with a new `request_id`.";
    ENROLLMENT_PENDING: FailedPrecondition,
        "An enrollment is to be cancelled whose payment has not answered.",
        "Get the enrollment until it is ENROLLED or REJECTED.";
    ENROLLMENT_NOT_CANCELLABLE: FailedPrecondition,
        "An enrollment is to be cancelled that never stood, or whose course is completed; `state` says which.",
        "Tell the learner.";
}
