//! Errors of the education context.

jumun_core::reasons! {
    REGISTRATION_COMPLETED: FailedPrecondition,
        "The course is completed, so its registration cannot be cancelled.",
        "Inform the learner: the fee is earned.";
    REGISTRATION_NOT_ACTIVE: FailedPrecondition,
        "The registration was cancelled, so it cannot be completed.",
        "Get the registration again; the learner may enroll again.";
}
