//! Errors of the dashboard context.

jumun_core::reasons! {
    WATCHER_TOO_SLOW: ResourceExhausted retry 1000 ms,
        "The caller read changes more slowly than they occurred, and missed some.",
        "List the views, then watch again.";
    HISTORY_FULL: FailedPrecondition,
        "The history of the view is full; no caller sees this.",
        "Inspect the dead letter.";
}
