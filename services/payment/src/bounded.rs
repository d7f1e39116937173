//! The payment provider behind a bulkhead: what it can do at once is known, and what is more is turned away early.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jumun_core::{Error, Money};
use rpc::Bulkhead;
use tokio::sync::OnceCell;

use crate::provider::{PaymentProvider, Verdict};

/// What the provider says about a charge, once it has said it.
type Answer = Arc<OnceCell<Result<Verdict, Error>>>;

/// A provider of whom only so much is asked at once, and nothing twice at once.
pub(crate) struct Bounded<P> {
    provider: P,
    bulkhead: Arc<Bulkhead>,
    /// By key, amount and token: what is being asked. Each has a place in the bulkhead, or waits for one.
    asked: Mutex<HashMap<Question, Answer>>,
}

type Question = (String, Money, String);

impl<P: PaymentProvider> Bounded<P> {
    pub(crate) fn new(provider: P, bulkhead: Arc<Bulkhead>) -> Self {
        Self { provider, bulkhead, asked: Mutex::default() }
    }

    async fn ask(&self, (key, amount, token): &Question) -> Result<Verdict, Error> {
        let _place = self.bulkhead.enter().await?;
        self.provider.authorize(key, *amount, token).await
    }

    fn asked(&self) -> MutexGuard<'_, HashMap<Question, Answer>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Only authorizations are bounded: customers wait for them, and they come as fast as customers do. The rest follows
/// from events and recoveries, whose number at once is bounded already, and money that is to be given back is not to
/// wait behind money that is to be held.
#[tonic::async_trait]
impl<P: PaymentProvider> PaymentProvider for Bounded<P> {
    /// Whoever asks again meanwhile, because it took too long for him, waits for the same answer: a second place would be
    /// taken from somebody else's charge. It is asked to its end, also when nobody waits any more (see [`jumun_core::request_context::run_to_completion`]).
    async fn authorize(&self, key: &str, amount: Money, token: &str) -> Result<Verdict, Error> {
        let question = (key.to_owned(), amount, token.to_owned());
        let answer = self.asked().entry(question.clone()).or_default().clone();
        let verdict = answer.get_or_init(|| self.ask(&question)).await.clone();
        self.asked().remove(&question);
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
