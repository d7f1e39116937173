//! The payment provider behind a bulkhead: concurrent authorizations are limited, and excess ones are rejected early.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jumun_core::{Error, Money};
use rpc::Bulkhead;
use tokio::sync::OnceCell;

use crate::provider::{PaymentProvider, Verdict};

/// The provider's answer to an authorization, once it has arrived.
type Answer = Arc<OnceCell<Result<Verdict, Error>>>;

/// Limits concurrent authorizations, and sends identical ones to the provider once.
pub(crate) struct Bounded<P> {
    provider: P,
    bulkhead: Arc<Bulkhead>,
    /// Each of them holds a permit of the bulkhead, or waits for one.
    in_flight: Mutex<HashMap<AuthorizationKey, Answer>>,
}

/// Idempotency key, amount and token.
type AuthorizationKey = (String, Money, String);

impl<P: PaymentProvider> Bounded<P> {
    pub(crate) fn new(provider: P, bulkhead: Arc<Bulkhead>) -> Self {
        Self { provider, bulkhead, in_flight: Mutex::default() }
    }

    async fn send(&self, (key, amount, token): &AuthorizationKey) -> Result<Verdict, Error> {
        let _permit = self.bulkhead.enter().await?;
        self.provider.authorize(key, *amount, token).await
    }

    fn in_flight(&self) -> MutexGuard<'_, HashMap<AuthorizationKey, Answer>> {
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Only authorizations are limited: customers wait for them, and send them at any rate. The other calls follow from
/// events and recoveries, whose concurrency is limited already, and refunds must not wait behind authorizations.
#[tonic::async_trait]
impl<P: PaymentProvider> PaymentProvider for Bounded<P> {
    /// An identical authorization that arrives meanwhile, e.g. after a timeout, waits for the same answer: a second
    /// permit would be taken from another charge. The call runs to completion even when no caller waits any more (see
    /// [`jumun_core::request_context::run_to_completion`]).
    async fn authorize(&self, key: &str, amount: Money, token: &str) -> Result<Verdict, Error> {
        let authorization = (key.to_owned(), amount, token.to_owned());
        let answer = self.in_flight().entry(authorization.clone()).or_default().clone();
        let verdict = answer.get_or_init(|| self.send(&authorization)).await.clone();
        self.in_flight().remove(&authorization);
        verdict
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
