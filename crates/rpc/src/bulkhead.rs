//! A bulkhead limits the concurrent calls to an external provider: a few more wait briefly, and all others are rejected
//! at once. So a slow provider cannot exhaust the process.

use std::{
    sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

use jumun_core::{Error, reasons, request_context, time::timeout};
use tokio::sync::{Semaphore, SemaphorePermit};

/// One call may wait for each two in flight. Longer queues only add latency.
const IN_FLIGHT_PER_WAITING: usize = 2;
/// How long a call waits for a permit at most.
const MAX_WAIT: Duration = Duration::from_millis(500);

/// The permits for concurrent calls to one provider.
#[derive(Debug)]
pub struct Bulkhead {
    name: &'static str,
    permits: Semaphore,
    limit: usize,
    /// None: any number of calls wait, without a time limit.
    max_waiting: Option<usize>,
    waiting: AtomicUsize,
    refused: AtomicU64,
}

/// Permits one call, until it is dropped.
#[derive(Debug)]
pub struct Permit<'a>(#[expect(dead_code, reason = "held, not read")] SemaphorePermit<'a>);

/// Counts a call as waiting, until it is dropped.
struct Waiting<'a> {
    count: &'a AtomicUsize,
    /// How many calls were waiting before this one.
    before: usize,
}

impl<'a> Waiting<'a> {
    fn join(count: &'a AtomicUsize) -> Self {
        Self { count, before: count.fetch_add(1, Relaxed) }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Relaxed);
    }
}

impl Bulkhead {
    /// A bulkhead with `limit` permits, at least 1. Without protection every call waits until it gets one.
    pub fn new(name: &'static str, limit: usize, is_protected: bool) -> Self {
        let limit = limit.clamp(1, Semaphore::MAX_PERMITS);
        let max_waiting = is_protected.then_some(limit.div_ceil(IN_FLIGHT_PER_WAITING));
        let permits = Semaphore::new(limit);
        Self { name, permits, limit, max_waiting, waiting: AtomicUsize::new(0), refused: AtomicU64::new(0) }
    }

    /// Acquires a permit for one call, and waits for it up to 500 ms or the deadline of the request, if that is
    /// earlier. Fails with PROVIDER_BUSY when too many calls wait already or the time is up: then the provider must not
    /// be called.
    pub async fn enter(&self) -> Result<Permit<'_>, Error> {
        if let Ok(permit) = self.permits.try_acquire() {
            return Ok(Permit(permit));
        }
        let waiting = Waiting::join(&self.waiting);
        let permit = match self.max_waiting {
            Some(most) if waiting.before >= most => return Err(self.busy()),
            Some(_) => {
                let wait = request_context::remaining().map_or(MAX_WAIT, |left| left.min(MAX_WAIT));
                timeout(wait, self.permits.acquire()).await.map_err(|_| self.busy())?
            }
            None => self.permits.acquire().await,
        };
        permit.map(Permit).map_err(Error::internal)
    }

    fn busy(&self) -> Error {
        self.refused.fetch_add(1, Relaxed);
        Error::new(&reasons::PROVIDER_BUSY, "too many calls to the provider are waiting; it was not called")
            .with("provider", self.name)
    }

    /// The name of the provider.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Calls that may be in flight.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Calls in flight.
    pub fn in_flight(&self) -> usize {
        self.limit.saturating_sub(self.permits.available_permits())
    }

    /// Calls that wait for a permit.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Relaxed)
    }

    /// Calls that were rejected since the start.
    pub fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use jumun_core::{RequestContext, time::Instant};

    #[tokio::test]
    async fn a_few_calls_wait_and_the_others_are_rejected_at_once() {
        let bulkhead = Bulkhead::new("provider", 2, true);
        let (one, _other) = (bulkhead.enter().await.expect("a permit"), bulkhead.enter().await.expect("a permit"));
        let mut waiting = std::pin::pin!(bulkhead.enter());
        assert!(futures::poll!(&mut waiting).is_pending());
        let error = bulkhead.enter().await.expect_err("one waits already");
        assert_eq!(
            (error.code, error.reason, error.retry_after),
            (tonic::Code::ResourceExhausted, "PROVIDER_BUSY", reasons::PROVIDER_BUSY.retry_after)
        );
        assert_eq!((bulkhead.in_flight(), bulkhead.waiting(), bulkhead.refused()), (2, 1, 1));
        drop(one);
        waiting.await.expect("its turn");
        assert_eq!(bulkhead.waiting(), 0);
    }

    #[tokio::test]
    async fn no_call_waits_longer_than_its_own_deadline() {
        let bulkhead = Bulkhead::new("provider", 1, true);
        let _permit = bulkhead.enter().await.expect("a permit");
        let deadline = Instant::now() + Duration::from_millis(20);
        let refused =
            RequestContext { deadline: Some(deadline), ..RequestContext::default() }.scope(bulkhead.enter()).await;
        assert_eq!(refused.expect_err("the time is up").reason, "PROVIDER_BUSY");
        assert!(Instant::now() < deadline + MAX_WAIT / 2);
    }

    #[tokio::test]
    async fn without_protection_every_call_waits() {
        let bulkhead = Arc::new(Bulkhead::new("provider", 1, false));
        let permit = bulkhead.enter().await.expect("a permit");
        let many: Vec<_> = (0..100)
            .map(|_| {
                tokio::spawn({
                    let bulkhead = bulkhead.clone();
                    async move { bulkhead.enter().await.map(drop).is_ok() }
                })
            })
            .collect();
        drop(permit);
        for each in many {
            assert!(each.await.expect("it runs"));
        }
    }
}
