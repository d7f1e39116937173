//! Subscriptions: a context receives the events of another context, and applies each once and in order.

use std::{collections::HashMap, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::sync::{
    oneshot::{self, error::TryRecvError},
    watch,
};
use tracing::Instrument;

use engine::{Arrival, Decide, Decision, Engine, InboxEvent, Stored, existing, outbox::Stall};
use jumun_core::{
    Envelope, Error, RequestContext,
    name::id_in,
    time::{interval, sleep},
    trace, trace_span,
};

use crate::{
    bus::Bus,
    jetstream::{JetStreamBus, JetStreamDelivery, JetStreamIncoming},
    stall::StallWatch,
};

/// Maximum number of events that one subscription processes concurrently.
const MAX_UNSETTLED: usize = 512;
/// Number of stored turns above which those that have ended are removed.
const MAX_TURNS: usize = 2 * MAX_UNSETTLED;
/// The pause before subscribing again after an error of the bus.
const RESUBSCRIBE_PAUSE: Duration = Duration::from_millis(500);
/// How often a subscription checks whether it makes progress.
const STALL_CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// Delays before an event is retried after a transient failure: doubled each time, up to MAX_RETRY.
const FIRST_RETRY: Duration = Duration::from_millis(100);
const MAX_RETRY: Duration = Duration::from_secs(5);

/// The delay before an event is retried that has failed so often before.
pub(crate) fn retry_delay(failures: u32, error: Option<&Error>) -> Duration {
    let delay = (FIRST_RETRY * 2_u32.pow(failures.min(10))).min(MAX_RETRY);
    error.and_then(|error| error.retry_after).map_or(delay, |after| after.min(delay))
}

/// The effect of an event on the receiving context.
pub enum EventEffect<A: Stored> {
    /// The event has no effect.
    Ignore,
    /// A rule runs on the aggregate with this id.
    Decide(String, Decide<A>),
}

impl<A: Stored> EventEffect<A> {
    /// Runs a rule on the aggregate `id`.
    pub fn decide(
        id: impl Into<String>,
        decide: impl FnMut(Option<&A>) -> Result<Decision<A>, Error> + Send + 'static,
    ) -> Self {
        Self::Decide(id.into(), Box::new(decide))
    }
}

impl<A: Stored> EventEffect<A> {
    /// Runs a rule on the aggregate `collection/{id}` that the event names, which must exist.
    pub fn on_existing(
        collection: &str,
        name: &str,
        rule: impl FnMut(&A) -> Result<Decision<A>, Error> + Send + 'static,
    ) -> Result<Self, Error> {
        Ok(Self::decide(event_id(collection, name)?, existing(name, rule)))
    }
}

/// The id in a resource name of an event; UNREADABLE_EVENT if the name is invalid.
pub fn event_id<'a>(collection: &str, name: &'a str) -> Result<&'a str, Error> {
    id_in(collection, name).map_err(|reason| Error::unreadable_event(format!("{name:?} {reason}")))
}

/// Determines the effect of an event. It may run more than once, so its calls to other contexts must be idempotent.
pub type Policy<A> = Arc<dyn Fn(Arc<Envelope>) -> BoxFuture<'static, Result<EventEffect<A>, Error>> + Send + Sync>;

/// A policy that depends only on the event.
pub fn policy<A: Stored, E: prost::Message + Default>(
    effect_of: impl Fn(E, &Envelope) -> Result<EventEffect<A>, Error> + Send + Sync + 'static,
) -> Policy<A> {
    Arc::new(move |envelope| {
        let effect = decode::<E>(&envelope).and_then(|event| effect_of(event, &envelope));
        Box::pin(std::future::ready(effect))
    })
}

/// Decodes the payload of an event; UNREADABLE_EVENT if it is malformed.
pub fn decode<E: prost::Message + Default>(envelope: &Envelope) -> Result<E, Error> {
    E::decode(envelope.payload.as_slice())
        .map_err(|error| Error::unreadable_event(format!("{}: {error}", envelope.kind)))
}

/// The subscription of one context to the events of another.
pub struct Subscription<A: Stored> {
    /// The bus that delivers the events.
    pub bus: Bus,
    /// The engine that applies them.
    pub engine: Engine<A>,
    /// The context that emits the events.
    pub source: &'static str,
    /// Its name as a consumer on the bus, e.g. "shelves-on-things".
    pub name: String,
    /// Determines the effect of each event.
    pub policy: Policy<A>,
    /// Becomes true when the process stops.
    pub stopping: watch::Receiver<bool>,
    /// Since when it is stalled: since when events wait and none is applied.
    pub stall: Arc<Stall>,
}

/// What the policy says of an event, and the `traceparent` of the events that it causes.
pub(crate) struct Judged<A: Stored> {
    pub(crate) effect: Result<EventEffect<A>, Error>,
    pub(crate) traceparent: Option<String>,
}

impl<A: Stored> Subscription<A> {
    /// Receives events from a broker until the process stops or the future is dropped.
    pub(crate) async fn receive_from(&self, bus: &JetStreamBus) {
        while !*self.stopping.borrow() {
            match bus.subscribe(self.source, &self.name).await {
                Ok(incoming) => self.receive(incoming).await,
                Err(error) => tracing::debug!(%error, consumer = self.name, "cannot subscribe yet"),
            }
            let mut stopping = self.stopping.clone();
            tokio::select! {
                _ = stopping.wait_for(|stopping| *stopping) => {}
                () = sleep(RESUBSCRIBE_PAUSE) => {}
            }
        }
    }

    /// Runs `processing` in the trace of the event.
    fn in_trace<F: Future>(
        &self,
        envelope: &Envelope,
        system: &'static str,
        processing: F,
    ) -> impl Future<Output = F::Output> + use<F, A> {
        let span = trace_span!(
            envelope.traceparent.as_deref(),
            "process",
            otel.name = format!("process {}.{} by {}", envelope.context, envelope.kind, self.name),
            otel.kind = "consumer",
            messaging.system = system,
            messaging.message.id = envelope.id(),
            messaging.consumer.group.name = self.name,
        );
        let context = RequestContext { traceparent: envelope.traceparent.clone(), ..RequestContext::default() };
        context.scope(processing).instrument(span)
    }

    /// Asks the policy about an event of a history.
    pub(crate) fn judge(&self, envelope: &Arc<Envelope>) -> BoxFuture<'static, Judged<A>> {
        let (policy, event) = (self.policy.clone(), envelope.clone());
        let judging = async move {
            // A policy that panics fails only its own event, which becomes a dead letter.
            let effect = AssertUnwindSafe(async { policy(event).await }).catch_unwind().await;
            let effect = effect.unwrap_or_else(|_| Err(Error::internal("a policy panicked")));
            Judged { effect, traceparent: trace::traceparent() }
        };
        self.in_trace(envelope, "jumun", judging).boxed()
    }

    async fn receive(&self, mut incoming: JetStreamIncoming) {
        let (mut unsettled, mut turns) = (FuturesUnordered::new(), Turns::default());
        let mut stopping = self.stopping.clone();
        let mut watch = StallWatch::new(&self.name, &self.stall);
        let mut ticks = interval(STALL_CHECK_INTERVAL);
        loop {
            tokio::select! {
                _ = stopping.wait_for(|stopping| *stopping) => break,
                Some(is_settled) = unsettled.next(), if !unsettled.is_empty() => {
                    if is_settled { watch.progressed() } else { watch.waits() }
                }
                _ = ticks.tick() => if !unsettled.is_empty() { watch.waits() },
                delivery = incoming.next(), if unsettled.len() < MAX_UNSETTLED => match delivery {
                    Some(Ok(delivery)) => {
                        let turn = delivery.envelope().ok().map(|envelope| turns.next(&envelope.aggregate));
                        unsettled.push(self.process(delivery, turn));
                    }
                    Some(Err(error)) => {
                        tracing::debug!(%error, consumer = self.name, "subscription broke");
                        return;
                    }
                    None => return,
                }
            }
        }
        // Events that were started are finished. The others are returned, so that another process gets them at once.
        let finish = async { while unsettled.next().await.is_some() {} };
        // Concurrently, because an unreachable broker must not delay the events that were started.
        tokio::join!(incoming.return_unstarted(), finish);
    }

    /// Applies an event; returns whether it is settled.
    async fn process(&self, delivery: JetStreamDelivery, mut turn: Option<Turn>) -> bool {
        let envelope = match delivery.envelope() {
            Ok(envelope) => envelope,
            Err(reason) => {
                // Its aggregate is unknown, so it cannot become a dead letter.
                tracing::error!(reason, consumer = self.name, "dropped an event with an unreadable envelope");
                delivery.settle().await;
                return true;
            }
        };
        if let Some(before) = turn.as_mut().and_then(|turn| turn.before.take()) {
            // The sender is dropped at the end of the turn.
            let _ = before.await;
        }
        match self.in_trace(&envelope, "nats", self.apply(envelope.clone(), None, turn)).await {
            Ok(()) => {
                delivery.settle().await;
                true
            }
            Err(error) => {
                let delay = retry_delay(delivery.attempt() - 1, Some(&error));
                tracing::debug!(%error, consumer = self.name, ?delay, "cannot apply an event now; retrying");
                delivery.retry(delay).await;
                false
            }
        }
    }

    /// Applies an event, or makes it a dead letter. After an error it is to be retried.
    async fn apply(&self, envelope: Arc<Envelope>, redriven: Option<i64>, turn: Option<Turn>) -> Result<(), Error> {
        let (target, decide, poison): (_, Decide<A>, _) = match (self.policy)(envelope.clone()).await {
            Ok(EventEffect::Decide(id, decide)) => (Some(id), decide, None),
            Ok(EventEffect::Ignore) => (None, Box::new(|_| Ok(Decision::Leave)), None),
            Err(error) if error.is_transient() => return Err(error),
            Err(error) => (None, Box::new(|_| Ok(Decision::Leave)), Some(error)),
        };
        let consumer = self.name.clone();
        let event = InboxEvent { consumer, envelope: envelope.clone(), arrival: Arrival::Broker, poison, redriven };
        let applied = self.engine.apply(target, event, decide);
        // Polling `applied` queues the job before the next turn can run, so events stay in sequence.
        drop(turn);
        match applied.await {
            // The database rejects the result permanently: the event becomes a dead letter, and other events go on.
            Err(error) if redriven.is_none() && !error.is_transient() => {
                let consumer = self.name.clone();
                let arrival = Arrival::Broker;
                let dead_letter = InboxEvent { consumer, envelope, arrival, poison: Some(error), redriven: None };
                self.engine.apply(None, dead_letter, Box::new(|_: Option<&A>| Ok(Decision::Leave))).await
            }
            result => result,
        }
    }

    /// Applies a dead letter again.
    pub async fn redrive(&self, envelope: Arc<Envelope>, dead_letter: i64) -> Result<(), Error> {
        self.apply(envelope, Some(dead_letter), None).await
    }
}

/// Keeps the order of the events of each aggregate, however long their policies take.
#[derive(Default)]
struct Turns(HashMap<String, oneshot::Receiver<()>>);

/// The turn of one event, which ends when this is dropped.
struct Turn {
    before: Option<oneshot::Receiver<()>>,
    _end: oneshot::Sender<()>,
}

impl Turns {
    fn next(&mut self, aggregate: &str) -> Turn {
        if self.0.len() >= MAX_TURNS {
            self.0.retain(|_, ended| ended.try_recv() == Err(TryRecvError::Empty));
        }
        let (sender, ended) = oneshot::channel();
        Turn { before: self.0.insert(aggregate.to_owned(), ended), _end: sender }
    }
}

/// A subscription without its aggregate type.
pub trait SubscriptionHandle: Send + Sync {
    /// Its name as a consumer on the bus, e.g. "shelves-on-things".
    fn name(&self) -> &str;

    /// The context that emits the events.
    fn source(&self) -> &'static str;

    /// How long it has been stalled; None while it makes progress or is idle.
    fn stalled_for(&self) -> Option<Duration>;

    /// Applies a dead letter again.
    fn redrive(&self, envelope: Arc<Envelope>, dead_letter: i64) -> BoxFuture<'_, Result<(), Error>>;
}

impl<A: Stored> SubscriptionHandle for Subscription<A> {
    fn name(&self) -> &str {
        &self.name
    }

    fn source(&self) -> &'static str {
        self.source
    }

    fn stalled_for(&self) -> Option<Duration> {
        self.stall.elapsed()
    }

    fn redrive(&self, envelope: Arc<Envelope>, dead_letter: i64) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(self.redrive(envelope, dead_letter))
    }
}
