//! Errors of the notification context. A recipient that blocks messages is not an error: the notification is FAILED.

jumun_core::reasons! {
    NOTIFICATION_ID_TAKEN: FailedPrecondition,
        "A notification with this `notification_id` has another content or recipient.",
        "Get that notification, or choose another id.";
    NOTIFICATION_WITHDRAWN: FailedPrecondition,
        "The notification was withdrawn; it is not delivered, now or later.",
        "Send a new notification.";
    ATTEMPT_UNDER_WAY: Aborted retry 1000 ms,
        "The notification is being delivered at this moment.",
        "Repeat the request.";
    CHANNEL_FAILED: Unavailable retry 2000 ms,
        "The channel failed or cannot be reached; the notification stays PENDING.",
        "Repeat the same request to get the result.";
    CHANNEL_TIMED_OUT: DeadlineExceeded retry 1000 ms,
        "The channel did not answer in time; it may or may not have delivered.",
        "Repeat the same request to get the result.";
}
