//! A bulkhead: only so many calls at once go to somebody outside, a few wait briefly, and the rest is turned away at
//! once. So what he can do is known, and he can drown nobody else.

use std::{
    sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

use jumun_core::{Error, reasons, request_context, time::timeout};
use tokio::sync::{Semaphore, SemaphorePermit};

/// One waits for each so many that are under way; more would wait longer than it helps.
const UNDER_WAY_PER_WAITING: usize = 2;
/// How long a call waits at most.
const MAX_WAIT: Duration = Duration::from_millis(500);

/// The places of those who may call somebody outside at once.
#[derive(Debug)]
pub struct Bulkhead {
    name: &'static str,
    places: Semaphore,
    limit: usize,
    /// None: everybody waits, for ever.
    max_waiting: Option<usize>,
    waiting: AtomicUsize,
    refused: AtomicU64,
}

/// A place, until it is dropped.
#[derive(Debug)]
pub struct Place<'a>(#[expect(dead_code, reason = "held, not read")] SemaphorePermit<'a>);

/// Counts a call as waiting, until it is dropped.
struct Waiting<'a> {
    count: &'a AtomicUsize,
    /// So many waited already.
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
    /// So many places; unprotected, everybody waits for one.
    pub fn new(name: &'static str, limit: usize, is_protected: bool) -> Self {
        let limit = limit.clamp(1, Semaphore::MAX_PERMITS);
        let max_waiting = is_protected.then_some(limit.div_ceil(UNDER_WAY_PER_WAITING));
        let places = Semaphore::new(limit);
        Self { name, places, limit, max_waiting, waiting: AtomicUsize::new(0), refused: AtomicU64::new(0) }
    }

    /// Takes a place, or waits for one, or is turned away: then nothing was asked of anybody.
    pub async fn enter(&self) -> Result<Place<'_>, Error> {
        if let Ok(place) = self.places.try_acquire() {
            return Ok(Place(place));
        }
        let waiting = Waiting::join(&self.waiting);
        let place = match self.max_waiting {
            Some(most) if waiting.before >= most => return Err(self.refuse()),
            Some(_) => {
                let wait = request_context::remaining().map_or(MAX_WAIT, |left| left.min(MAX_WAIT));
                timeout(wait, self.places.acquire()).await.map_err(|_| self.refuse())?
            }
            None => self.places.acquire().await,
        };
        place.map(Place).map_err(Error::internal)
    }

    fn refuse(&self) -> Error {
        self.refused.fetch_add(1, Relaxed);
        Error::new(&reasons::PROVIDER_BUSY, "too many calls to the provider are waiting; nothing was asked of it")
            .with("provider", self.name)
    }

    /// The provider's name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Calls at once.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Calls that are under way.
    pub fn under_way(&self) -> usize {
        self.limit.saturating_sub(self.places.available_permits())
    }

    /// Calls that wait for a place.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Relaxed)
    }

    /// Calls that were turned away since the start.
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
    async fn a_few_wait_and_the_rest_is_turned_away_at_once() {
        let bulkhead = Bulkhead::new("provider", 2, true);
        let (one, _other) = (bulkhead.enter().await.expect("a place"), bulkhead.enter().await.expect("a place"));
        let mut waiting = std::pin::pin!(bulkhead.enter());
        assert!(futures::poll!(&mut waiting).is_pending());
        let error = bulkhead.enter().await.expect_err("one waits already");
        assert_eq!(
            (error.code, error.reason, error.retry_after),
            (tonic::Code::ResourceExhausted, "PROVIDER_BUSY", reasons::PROVIDER_BUSY.retry_after)
        );
        assert_eq!((bulkhead.under_way(), bulkhead.waiting(), bulkhead.refused()), (2, 1, 1));
        drop(one);
        waiting.await.expect("its turn");
        assert_eq!(bulkhead.waiting(), 0);
    }

    #[tokio::test]
    async fn nobody_waits_longer_than_his_own_caller() {
        let bulkhead = Bulkhead::new("provider", 1, true);
        let _place = bulkhead.enter().await.expect("a place");
        let deadline = Instant::now() + Duration::from_millis(20);
        let refused =
            RequestContext { deadline: Some(deadline), ..RequestContext::default() }.scope(bulkhead.enter()).await;
        assert_eq!(refused.expect_err("his time is up").reason, "PROVIDER_BUSY");
        assert!(Instant::now() < deadline + MAX_WAIT / 2);
    }

    #[tokio::test]
    async fn unprotected_everybody_waits() {
        let bulkhead = Arc::new(Bulkhead::new("provider", 1, false));
        let place = bulkhead.enter().await.expect("a place");
        let many: Vec<_> = (0..100)
            .map(|_| {
                tokio::spawn({
                    let bulkhead = bulkhead.clone();
                    async move { bulkhead.enter().await.map(drop).is_ok() }
                })
            })
            .collect();
        drop(place);
        for each in many {
            assert!(each.await.expect("it runs"));
        }
    }
}
