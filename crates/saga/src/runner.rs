//! Runs a saga: commits and calls in the sequence that the protocol prescribes.

use std::sync::Arc;

use engine::{Decision, Engine, RequestKey};
use jumun_core::{Error, Time};
use runtime::ContextBuilder;

use crate::{RECOVERY_INTERVAL, RequestSaga, Saga, round};

/// The two calls of a saga.
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
    /// Records the requested aggregate, asks, applies the outcome, and returns the resulting aggregate. A repetition of
    /// the request continues where the first one stopped.
    ///
    /// While the circuit is open, a new request is not recorded, so that there is nothing to recover, and fails with
    /// [`RequestSaga::not_asked`]. A request that is recorded already continues: a call for it may be in flight.
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

    /// Commits the decision of a rule on the aggregate `id`, which may exist already, and returns the resulting
    /// aggregate.
    pub async fn record(
        &self,
        id: &str,
        request: Option<RequestKey>,
        rule: impl FnMut(Option<&S::Aggregate>) -> Result<Decision<S::Aggregate>, Error> + Send + 'static,
    ) -> Result<Arc<S::Aggregate>, Error> {
        match self.engine.execute(id, request, rule).await?.state {
            Some(recorded) => Ok(recorded),
            // The request is a repetition.
            None => present(self.engine.get(id).await?.map(Arc::new)),
        }
    }

    /// Makes the call and applies its outcome, until the aggregate is settled or stays at the same step.
    pub async fn advance(&self, mut known: Arc<S::Aggregate>, call: Call) -> Result<Arc<S::Aggregate>, Error> {
        while let Some(step) = S::step(&known) {
            let outcome = match call {
                Call::Ask => self.saga.ask(&known).await?,
                // Boxed: it is rare, and would enlarge the future of every request.
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

    /// Commits the decision of a rule on an aggregate that exists, and returns the resulting aggregate.
    pub async fn decide(
        &self,
        aggregate: &S::Aggregate,
        mut rule: impl FnMut(&S::Aggregate, Time) -> Result<Decision<S::Aggregate>, Error> + Send + 'static,
    ) -> Result<Arc<S::Aggregate>, Error> {
        let now = self.engine.now();
        present(self.engine.command(engine::Aggregate::id(aggregate), None, move |state| rule(state, now)).await?.state)
    }

    /// The aggregates to resolve now, at most [`Saga::MAX_RECOVERED`].
    pub async fn unsettled(&self) -> Result<Vec<S::Aggregate>, Error> {
        self.engine.find(S::unsettled(self.engine.now()), S::MAX_RECOVERED).await
    }

    /// Runs one round of the recovery: resolves the unsettled aggregates.
    pub async fn recover(&self) -> Result<(), Error> {
        let unsettled = self.unsettled().await?;
        if !unsettled.is_empty() {
            tracing::info!(
                table = <S::Aggregate as engine::storage::Record>::TABLE.name,
                count = unsettled.len(),
                "resolving unsettled aggregates"
            );
        }
        let resolve = async |aggregate| self.advance(Arc::new(aggregate), Call::Resolve).await.map(drop);
        round(unsettled, S::RECOVERED_AT_ONCE, resolve).await
    }

    /// Adds a worker of this name, which runs the recovery at the start and every [`RECOVERY_INTERVAL`].
    pub fn recover_regularly(&self, builder: &mut ContextBuilder<'_>, worker: &'static str) {
        let runner = self.clone();
        builder.every(RECOVERY_INTERVAL, worker, move || {
            let runner = runner.clone();
            async move { runner.recover().await }
        });
    }
}

fn present<A>(aggregate: Option<Arc<A>>) -> Result<Arc<A>, Error> {
    aggregate.ok_or_else(|| Error::internal("a recorded aggregate does not exist"))
}
