//! Notices a consumer that makes no progress, and reports it.

use std::time::Duration;

use engine::outbox::Stall;
use jumun_core::time::Instant;

/// A consumer that has events to apply and applies none for this long is stalled.
const STALL_AFTER: Duration = Duration::from_secs(10);

/// Watches one consumer.
pub(crate) struct StallWatch<'a> {
    consumer: &'a str,
    stall: &'a Stall,
    /// Since when events wait and none was applied.
    since: Option<Instant>,
}

impl<'a> StallWatch<'a> {
    pub(crate) fn new(consumer: &'a str, stall: &'a Stall) -> Self {
        Self { consumer, stall, since: None }
    }

    /// Events wait, and none was applied.
    pub(crate) fn waits(&mut self) {
        let since = *self.since.get_or_insert_with(Instant::now);
        if since.elapsed() >= STALL_AFTER && self.stall.set(Some(since)).is_none() {
            let (consumer, seconds) = (self.consumer, since.elapsed().as_secs());
            tracing::warn!(consumer, seconds, "the consumer is stalled: events wait and none is applied");
        }
    }

    /// An event was applied, or none waits.
    pub(crate) fn progressed(&mut self) {
        self.since = None;
        if let Some(since) = self.stall.set(None) {
            let (consumer, seconds) = (self.consumer, since.elapsed().as_secs());
            tracing::info!(consumer, seconds, "the consumer applies events again");
        }
    }
}
