//! The payment provider behind a bulkhead: what it can do at once is known, and what is more is turned away early.

use std::sync::Arc;

use kit::{Bulkhead, Error, Money};

use crate::provider::{PaymentProvider, Verdict};

/// A provider of whom only so much is asked at once.
pub(crate) struct Bounded<P> {
    provider: P,
    bulkhead: Arc<Bulkhead>,
}

impl<P> Bounded<P> {
    pub(crate) fn new(provider: P, bulkhead: Arc<Bulkhead>) -> Self {
        Self { provider, bulkhead }
    }
}

/// Only authorizations are bounded: customers wait for them, and they come as fast as customers do. The rest follows
/// from events and recoveries, whose number at once is bounded already, and money that is to be given back is not to
/// wait behind money that is to be held.
#[tonic::async_trait]
impl<P: PaymentProvider> PaymentProvider for Bounded<P> {
    async fn authorize(&self, key: &str, amount: Money, token: &str) -> Result<Verdict, Error> {
        let _place = self.bulkhead.enter().await?;
        self.provider.authorize(key, amount, token).await
    }

    async fn capture(&self, key: &str) -> Result<(), Error> {
        self.provider.capture(key).await
    }

    async fn void(&self, key: &str) -> Result<(), Error> {
        self.provider.void(key).await
    }

    async fn refund(&self, key: &str) -> Result<(), Error> {
        self.provider.refund(key).await
    }
}
