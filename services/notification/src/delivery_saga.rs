//! Notification → channel: the notification is recorded, then delivered, then the outcome is recorded.
//!
//! A notification that a caller waits for is delivered at once or withdrawn, behind a tombstone that rejects a late
//! delivery. One that follows an event is retried with backoff, within limits. So each attempt is recorded before it is
//! made.

use std::sync::Arc;

use engine::{Decision, Engine, Query, RequestKey, StateName};
use jumun_core::{Error, Time};
use rpc::Bulkhead;
use saga::{Call, Saga, SagaRunner, round};

use crate::{
    channels::{ChannelAdapter, ChannelAdapters, Outcome},
    domain::{Notification, State},
    reasons,
};

/// Runs the deliveries of notifications.
#[derive(Clone)]
pub(crate) struct DeliverySaga {
    runner: SagaRunner<Delivery>,
    /// Limits the concurrent deliveries that callers wait for.
    bulkhead: Arc<Bulkhead>,
}

/// The delivery of a notification, over its channel.
#[derive(Clone)]
pub(crate) struct Delivery {
    adapters: ChannelAdapters,
}

/// A requested notification.
pub(crate) enum Requested {
    /// Its id was generated.
    Generated(Notification),
    /// Its id was chosen by the caller.
    Named(Notification),
}

impl Requested {
    fn notification(&self) -> &Notification {
        match self {
            Self::Generated(notification) | Self::Named(notification) => notification,
        }
    }
}

impl Saga for Delivery {
    type Aggregate = Notification;
    type Outcome = Outcome;
    type Step = ();

    fn step(notification: &Notification) -> Option<()> {
        (notification.state == State::Pending).then_some(())
    }

    /// Delivers it over its channel.
    async fn ask(&self, notification: &Notification) -> Result<Outcome, Error> {
        self.adapter(notification)?.deliver(notification).await
    }

    /// Withdraws it at its channel, or finds that it was delivered.
    async fn resolve(&self, notification: &Notification) -> Result<Option<Outcome>, Error> {
        self.adapter(notification)?.withdraw(notification).await.map(Some)
    }

    fn apply(notification: &Notification, outcome: &Outcome, now: Time) -> Result<Decision<Notification>, Error> {
        match outcome {
            Outcome::Delivered => notification.deliver(now),
            Outcome::Withdrawn => notification.withdraw(now),
            Outcome::Refused(reason) => notification.fail(reason, now),
        }
    }

    /// Those whose next attempt is due.
    fn unsettled(now: Time) -> Query {
        let pending = Query::new().is("state", State::Pending.name());
        pending.at_most("next_attempt_time", now).order_by("next_attempt_time")
    }
}

impl Delivery {
    fn adapter(&self, notification: &Notification) -> Result<&Arc<dyn ChannelAdapter>, Error> {
        let not_configured = || Error::new(&reasons::CHANNEL_FAILED, "the channel is not configured any more");
        self.adapters.of(notification.channel).ok_or_else(not_configured)
    }
}

impl DeliverySaga {
    pub(crate) fn new(
        notifications: &Engine<Notification>,
        adapters: ChannelAdapters,
        bulkhead: Arc<Bulkhead>,
    ) -> Self {
        Self { runner: SagaRunner::new(notifications, Delivery { adapters }), bulkhead }
    }

    pub(crate) fn notifications(&self) -> &Engine<Notification> {
        self.runner.engine()
    }

    pub(crate) fn adapters(&self) -> &ChannelAdapters {
        &self.runner.saga().adapters
    }

    /// Records a notification and delivers it. A repeated request continues where the first one stopped.
    pub(crate) async fn send(&self, request: RequestKey, requested: Requested) -> Result<Arc<Notification>, Error> {
        // A notification that cannot be delivered soon is rejected before it is recorded.
        let _permit = self.bulkhead.enter().await?;
        let fingerprint = requested.notification().fingerprint.clone();
        let notification = match requested {
            Requested::Generated(notification) => self.notifications().create(request, notification).await?,
            Requested::Named(notification) => self.record_named(request, notification).await?,
        };
        if notification.state != State::Withdrawn && notification.fingerprint != fingerprint {
            return Err(id_taken(&notification));
        }
        let notification = self.runner.advance(notification, Call::Ask).await?;
        if notification.state == State::Withdrawn { Err(withdrawn(&notification)) } else { Ok(notification) }
    }

    /// Records a notification unless its id exists already, e.g. as a tombstone.
    async fn record_named(&self, request: RequestKey, requested: Notification) -> Result<Arc<Notification>, Error> {
        let id = requested.id.clone();
        let rule = move |existing: Option<&Notification>| match existing {
            Some(_) => Ok(Decision::Leave),
            None => Decision::save(requested.clone()),
        };
        self.runner.record(&id, Some(request), rule).await
    }

    /// Makes sure that a notification is not delivered any more, or finds that it was.
    pub(crate) async fn withdraw(
        &self,
        request: Option<RequestKey>,
        tombstone: Notification,
    ) -> Result<Arc<Notification>, Error> {
        let (id, now) = (tombstone.id.clone(), self.notifications().now());
        let rule = move |existing: Option<&Notification>| match existing {
            Some(notification) => notification.withdraw_untried(now),
            None => Notification::leave_tombstone(None, &tombstone),
        };
        let notification = self.runner.record(&id, request, rule).await?;
        if notification.state == State::Pending {
            self.attempt(&notification, Call::Resolve).await
        } else {
            Ok(notification)
        }
    }

    /// Makes the attempts that are due. A failed one does not end the round: the next may use another channel.
    pub(crate) async fn recover(&self) -> Result<(), Error> {
        let make_due_attempt = async |notification: Notification| {
            let call = if notification.is_awaited { Call::Resolve } else { Call::Ask };
            if let Err(error) = self.attempt(&notification, call).await {
                tracing::debug!(%error, notification = notification.id, "not delivered yet");
            }
            Ok(())
        };
        round(self.runner.unsettled().await?, Delivery::RECOVERED_AT_ONCE, make_due_attempt).await
    }

    /// Makes the next attempt, unless another one is under way.
    async fn attempt(&self, notification: &Notification, call: Call) -> Result<Arc<Notification>, Error> {
        let attempted = self.runner.decide(notification, Notification::attempt).await?;
        self.runner.advance(attempted, call).await
    }
}

fn withdrawn(notification: &Notification) -> Error {
    let message = format!("{} was withdrawn and is not delivered", notification.name());
    Error::new(&reasons::NOTIFICATION_WITHDRAWN, message)
}

fn id_taken(notification: &Notification) -> Error {
    Error::new(&reasons::NOTIFICATION_ID_TAKEN, format!("{} exists with other content", notification.name()))
}
