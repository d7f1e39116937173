//! Whenever X happens, do Y: how a context hears another's events and applies each once and in order.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::sync::{
    oneshot::{self, error::TryRecvError},
    watch,
};
use tracing::Instrument;

use engine::{Arrival, Decide, Decision, Engine, Stored, existing};
use jumun_core::{Envelope, Error, RequestContext, name::id_in, time::sleep, trace_span};

use crate::bus::{Bus, Delivery, Incoming};

/// Events that one consumer works on at once.
const MAX_UNSETTLED: usize = 512;
/// Aggregates whose last turn is remembered; those that are over are forgotten then.
const MAX_TURNS: usize = 2 * MAX_UNSETTLED;
/// The pause before a bus that failed is asked again.
const RESUBSCRIBE_PAUSE: Duration = Duration::from_millis(500);
/// Delays before a transient failure is tried again: doubled each time, up to a bound.
const FIRST_RETRY: Duration = Duration::from_millis(100);
const MAX_RETRY: Duration = Duration::from_secs(5);

/// What an event leads to.
pub enum EventEffect<A: Stored> {
    /// Nothing, here.
    Ignore,
    /// A decision upon one aggregate.
    Decide(String, Decide<A>),
}

impl<A: Stored> EventEffect<A> {
    /// A decision upon the aggregate `id`.
    pub fn decide(
        id: impl Into<String>,
        decide: impl FnMut(Option<&A>) -> Result<Decision<A>, Error> + Send + 'static,
    ) -> Self {
        Self::Decide(id.into(), Box::new(decide))
    }
}

impl<A: Stored> EventEffect<A> {
    /// A decision upon the aggregate `collection/{id}` that an event names, and which must exist.
    pub fn on_existing(
        collection: &str,
        name: &str,
        rule: impl FnMut(&A) -> Result<Decision<A>, Error> + Send + 'static,
    ) -> Result<Self, Error> {
        Ok(Self::decide(event_id(collection, name)?, existing(name, rule)))
    }
}

/// The id in a resource's name that an event carries.
pub fn event_id<'a>(collection: &str, name: &'a str) -> Result<&'a str, Error> {
    id_in(collection, name).map_err(|reason| Error::unreadable_event(format!("{name:?} {reason}")))
}

/// What a context does about another's events. It may call others, so long as doing it twice does no harm.
pub type Policy<A> = Arc<dyn Fn(Arc<Envelope>) -> BoxFuture<'static, Result<EventEffect<A>, Error>> + Send + Sync>;

/// A policy that only looks at the event.
pub fn policy<A: Stored, E: prost::Message + Default>(
    react: impl Fn(E, &Envelope) -> Result<EventEffect<A>, Error> + Send + Sync + 'static,
) -> Policy<A> {
    Arc::new(move |message| {
        let reaction = decode::<E>(&message).and_then(|event| react(event, &message));
        Box::pin(std::future::ready(reaction))
    })
}

/// Decodes an event.
pub fn decode<E: prost::Message + Default>(message: &Envelope) -> Result<E, Error> {
    E::decode(message.payload.as_slice()).map_err(|error| Error::unreadable_event(format!("{}: {error}", message.kind)))
}

/// One context hearing another.
pub struct Subscription<A: Stored> {
    /// Where the events come from.
    pub bus: Bus,
    /// What applies them.
    pub engine: Engine<A>,
    /// The context that is heard.
    pub source: &'static str,
    /// The consumer's name, e.g. "shelves-on-things".
    pub name: String,
    /// What they lead to.
    pub policy: Policy<A>,
    /// Becomes true when the process is to end.
    pub stopping: watch::Receiver<bool>,
}

impl<A: Stored> Subscription<A> {
    /// Subscribes; kept apart from `run`, so that a local bus knows its consumers before it is fed.
    pub async fn subscribe(&self) -> Option<Incoming> {
        match self.bus.subscribe(self.source, &self.name).await {
            Ok(incoming) => Some(incoming),
            Err(error) => {
                tracing::debug!(%error, consumer = self.name, "cannot subscribe yet");
                None
            }
        }
    }

    /// Runs until the process is to end, or the task is dropped.
    pub async fn run(self, mut incoming: Option<Incoming>) {
        loop {
            if let Some(incoming) = incoming.take() {
                self.hear(incoming).await;
            }
            if *self.stopping.borrow() {
                return;
            }
            sleep(RESUBSCRIBE_PAUSE).await;
            incoming = self.subscribe().await;
        }
    }

    async fn hear(&self, mut incoming: Incoming) {
        let (mut unsettled, mut turns) = (FuturesUnordered::new(), Turns::default());
        let mut stopping = self.stopping.clone();
        loop {
            tokio::select! {
                _ = stopping.wait_for(|stopping| *stopping) => break,
                Some(()) = unsettled.next(), if !unsettled.is_empty() => {}
                delivery = incoming.next(), if unsettled.len() < MAX_UNSETTLED => match delivery {
                    Some(Ok(delivery)) => {
                        let turn = delivery.message().ok().map(|message| turns.next(&message.aggregate));
                        unsettled.push(self.apply(delivery, turn));
                    }
                    Some(Err(error)) => {
                        tracing::debug!(%error, consumer = self.name, "subscription broke");
                        return;
                    }
                    None => return,
                }
            }
        }
        // What has begun is finished; the rest is for the next process, which need not wait for it.
        let finish = async { while unsettled.next().await.is_some() {} };
        // At the same time: a broker that is away takes nothing back, and must not keep the rest from being finished.
        tokio::join!(incoming.give_back(), finish);
    }

    async fn apply(&self, delivery: Delivery, mut turn: Option<Turn>) {
        let message = match delivery.message() {
            Ok(message) => message,
            Err(reason) => {
                // Nothing tells which aggregate it is about, so no other event can wait behind it.
                tracing::error!(reason, consumer = self.name, "an event without an envelope was dropped");
                return delivery.settle().await;
            }
        };
        if let Some(before) = turn.as_mut().and_then(|turn| turn.before.take()) {
            // Dropped, it is over.
            let _ = before.await;
        }
        let span = trace_span!(
            message.traceparent.as_deref(),
            "process",
            otel.name = format!("process {}.{} by {}", message.context, message.kind, self.name),
            otel.kind = "consumer",
            messaging.system = "nats",
            messaging.message.id = message.id(),
            messaging.consumer.group.name = self.name,
        );
        let context = RequestContext { traceparent: message.traceparent.clone(), ..RequestContext::default() };
        match context.scope(self.react(message, None, turn)).instrument(span).await {
            Ok(()) => delivery.settle().await,
            Err(error) => {
                let delay = (FIRST_RETRY * 2_u32.pow(delivery.attempt().min(10) - 1)).min(MAX_RETRY);
                tracing::debug!(%error, consumer = self.name, ?delay, "an event is tried again");
                delivery.retry(error.retry_after.map_or(delay, |after| after.min(delay))).await;
            }
        }
    }

    /// Applies an event, or puts it aside. An error means: not now.
    async fn react(&self, message: Arc<Envelope>, redriven: Option<i64>, turn: Option<Turn>) -> Result<(), Error> {
        let (target, decide, poison): (_, Decide<A>, _) = match (self.policy)(message.clone()).await {
            Ok(EventEffect::Decide(id, decide)) => (Some(id), decide, None),
            Ok(EventEffect::Ignore) => (None, Box::new(|_| Ok(Decision::Leave)), None),
            Err(error) if error.is_transient() => return Err(error),
            Err(error) => (None, Box::new(|_| Ok(Decision::Leave)), Some(error)),
        };
        let consumer = self.name.clone();
        let applied =
            self.engine.apply(target, Arrival { consumer, message: message.clone(), poison, redriven }, decide);
        // Whoever comes next stands in line behind this job: applying begins with that.
        drop(turn);
        match applied.await {
            // The database refuses what was decided, and always will: the event is put aside, and others go on.
            Err(error) if redriven.is_none() && !error.is_transient() => {
                let consumer = self.name.clone();
                let put_aside = Arrival { consumer, message, poison: Some(error), redriven: None };
                self.engine.apply(None, put_aside, Box::new(|_: Option<&A>| Ok(Decision::Leave))).await
            }
            result => result,
        }
    }

    /// Applies a dead letter once more.
    pub async fn redrive(&self, message: Arc<Envelope>, dead_letter: i64) -> Result<(), Error> {
        self.react(message, Some(dead_letter), None).await
    }
}

/// The order in which one consumer takes the events of each aggregate, however long a policy thinks about one of them.
#[derive(Default)]
struct Turns(HashMap<String, oneshot::Receiver<()>>);

/// One event's turn. Dropped, it is over.
struct Turn {
    before: Option<oneshot::Receiver<()>>,
    _over: oneshot::Sender<()>,
}

impl Turns {
    fn next(&mut self, aggregate: &str) -> Turn {
        if self.0.len() >= MAX_TURNS {
            self.0.retain(|_, over| over.try_recv() == Err(TryRecvError::Empty));
        }
        let (sender, over) = oneshot::channel();
        Turn { before: self.0.insert(aggregate.to_owned(), over), _over: sender }
    }
}

/// A subscription without its aggregate's type.
pub trait SubscriptionHandle: Send + Sync {
    /// Its name, e.g. "shelves-on-things".
    fn name(&self) -> &str;

    /// The context whose events it receives.
    fn source(&self) -> &'static str;

    /// Applies a dead letter once more.
    fn redrive(&self, message: Arc<Envelope>, dead_letter: i64) -> BoxFuture<'_, Result<(), Error>>;
}

impl<A: Stored> SubscriptionHandle for Subscription<A> {
    fn name(&self) -> &str {
        &self.name
    }

    fn source(&self) -> &'static str {
        self.source
    }

    fn redrive(&self, message: Arc<Envelope>, dead_letter: i64) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(self.redrive(message, dead_letter))
    }
}
