//! Why the notification context refuses. That a recipient blocks messages is no error: it is a notification that FAILED.

jumun_core::reasons! {
    NOTIFICATION_ID_TAKEN: FailedPrecondition,
        "A notification of this `notification_id` says something else, or to somebody else.",
        "Get that notification, or choose another id.";
    NOTIFICATION_WITHDRAWN: FailedPrecondition,
        "The notification was withdrawn; it is not delivered, now or later.",
        "Start over with a new one.";
    ATTEMPT_UNDER_WAY: Aborted retry 1000 ms,
        "The notification is being delivered at this moment.",
        "Repeat the request.";
    CHANNEL_FAILED: Unavailable retry 2000 ms,
        "The channel failed or cannot be reached; the notification stays PENDING.",
        "Repeat the same request, to learn what became of it.";
    CHANNEL_TIMED_OUT: DeadlineExceeded retry 1000 ms,
        "The channel did not answer in time; it may have delivered or not.",
        "Repeat the same request, to learn what became of it.";
}
