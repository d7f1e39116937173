//! Why the dashboard context refuses.

jumun_core::reasons! {
    WATCHER_TOO_SLOW: ResourceExhausted retry 1000 ms,
        "A caller read the changes more slowly than they came, and missed some.",
        "List the views, then watch again.";
    HISTORY_FULL: FailedPrecondition,
        "An order or enrollment has more history than a view holds; no caller sees this.",
        "Look into the dead letter.";
}
