//! Why the education context refuses.

jumun_core::reasons! {
    REGISTRATION_COMPLETED: FailedPrecondition,
        "A registration is to be cancelled whose course is completed.",
        "The fee is earned; tell whoever asked.";
    REGISTRATION_NOT_ACTIVE: FailedPrecondition,
        "A registration is to be completed that was cancelled.",
        "Get the registration again; the learner may enroll once more.";
}
