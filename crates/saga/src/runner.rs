//! Runs a saga: the order of commits and calls.

use std::sync::Arc;

use engine::{Decision, Engine, RequestKey};
use jumun_core::{Error, Time};
use runtime::ContextBuilder;

use crate::{RECOVERY_INTERVAL, RequestSaga, Saga, round};

/// Which of a saga's two calls is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// [`Saga::ask`].
    Ask,
    /// [`Saga::resolve`].
    Resolve,
}

/// A saga, and the engine that records its aggregates.
#[derive(Clone)]
pub struct SagaRunner<S: Saga> {
    engine: Engine<S::Aggregate>,
    saga: S,
}

impl<S: RequestSaga> SagaRunner<S> {
    /// Records what is requested, asks, applies the answer, and returns the aggregate as it is then. A repetition of
    /// the request goes on where the first stopped.
    ///
    /// While the circuit is open nothing is recorded, so that there is nothing to recover. What is recorded already is
    /// never given up for that reason: another call for the same request may be under way, and its end is the
    /// recovery's.
    pub async fn run(&self, request: RequestKey, requested: S::Aggregate) -> Result<Arc<S::Aggregate>, Error> {
        if let Err(circuit_open) = self.saga.channel().check()
            && !self.engine.remembers(&request).await?
        {
            return Err(self.saga.not_asked(&circuit_open));
        }
        let recorded = self.engine.create(request, requested).await?;
        self.advance(recorded, Call::Ask).await
    }
}

impl<S: Saga> SagaRunner<S> {
    /// Runs `saga` on the aggregates of `engine`.
    pub fn new(engine: &Engine<S::Aggregate>, saga: S) -> Self {
        Self { engine: engine.clone(), saga }
    }

    /// The engine that records the aggregates.
    pub fn engine(&self) -> &Engine<S::Aggregate> {
        &self.engine
    }

    /// The saga that is run.
    pub fn saga(&self) -> &S {
        &self.saga
    }

    /// Records what a rule decides under `id`, where something may be recorded already, and returns it as it is then.
    pub async fn record(
        &self,
        id: &str,
        request: Option<RequestKey>,
        rule: impl FnMut(Option<&S::Aggregate>) -> Result<Decision<S::Aggregate>, Error> + Send + 'static,
    ) -> Result<Arc<S::Aggregate>, Error> {
        match self.engine.execute(id, request, rule).await?.state {
            Some(recorded) => Ok(recorded),
            // A repetition is not decided again.
            None => present(self.engine.get(id).await?.map(Arc::new)),
        }
    }

    /// Makes the call and applies its outcome, for as long as that leads to another step.
    pub async fn advance(&self, mut known: Arc<S::Aggregate>, call: Call) -> Result<Arc<S::Aggregate>, Error> {
        while let Some(step) = S::step(&known) {
            let outcome = match call {
                Call::Ask => self.saga.ask(&known).await?,
                // Rare and large: kept out of each request's future.
                Call::Resolve => match Box::pin(self.saga.resolve(&known)).await? {
                    Some(outcome) => outcome,
                    None => return Ok(known),
                },
            };
            known = self.decide(&known, move |aggregate, now| S::apply(aggregate, &outcome, now)).await?;
            if S::step(&known) == Some(step) {
                break;
            }
        }
        Ok(known)
    }

    /// Commits what a rule decides upon an aggregate that is recorded, and returns it as it is then.
    pub async fn decide(
        &self,
        aggregate: &S::Aggregate,
        mut rule: impl FnMut(&S::Aggregate, Time) -> Result<Decision<S::Aggregate>, Error> + Send + 'static,
    ) -> Result<Arc<S::Aggregate>, Error> {
        let now = self.engine.now();
        present(self.engine.command(engine::Aggregate::id(aggregate), None, move |state| rule(state, now)).await?.state)
    }

    /// The aggregates that are to be resolved now, as many as one round takes.
    pub async fn unsettled(&self) -> Result<Vec<S::Aggregate>, Error> {
        self.engine.find(S::unsettled(self.engine.now()), S::MAX_RECOVERED).await
    }

    /// One round of the recovery: resolves what is unsettled.
    pub async fn recover(&self) -> Result<(), Error> {
        let unsettled = self.unsettled().await?;
        if !unsettled.is_empty() {
            tracing::info!(
                table = <S::Aggregate as engine::storage::Record>::TABLE.name,
                count = unsettled.len(),
                "resolving what is unsettled"
            );
        }
        let resolve = async |aggregate| self.advance(Arc::new(aggregate), Call::Resolve).await.map(drop);
        round(unsettled, S::RECOVERED_AT_ONCE, resolve).await
    }

    /// Recovers at the start and every [`RECOVERY_INTERVAL`], by a worker of this name.
    pub fn recover_regularly(&self, unit: &mut ContextBuilder<'_>, worker: &'static str) {
        let runner = self.clone();
        unit.every(RECOVERY_INTERVAL, worker, move || {
            let runner = runner.clone();
            async move { runner.recover().await }
        });
    }
}

fn present<A>(aggregate: Option<Arc<A>>) -> Result<Arc<A>, Error> {
    aggregate.ok_or_else(|| Error::internal("what was recorded is not there"))
}
