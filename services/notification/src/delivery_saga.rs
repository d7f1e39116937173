//! Notification → channel: the notification is recorded, then handed over, then what the channel said of it is
//! recorded.
//!
//! What a caller waits for arrives at once or is withdrawn, behind a tombstone that a late delivery meets. What follows
//! an event is tried again, less and less often, within bounds. So each attempt is recorded before it is made.

use std::sync::Arc;

use engine::{Decision, Engine, Query, RequestKey, StateName};
use jumun_core::{Error, Time};
use rpc::Bulkhead;
use saga::{Call, Saga, SagaRunner, round};

use crate::{
    channels::{Courier, Couriers, Outcome},
    domain::{Notification, State},
    reasons,
};

/// Brings notifications to their recipients.
#[derive(Clone)]
pub(crate) struct DeliverySaga {
    runner: SagaRunner<Delivery>,
    /// The calls that are waited for; a channel can do only so much at once.
    places: Arc<Bulkhead>,
}

/// The delivery of a notification, over its channel.
#[derive(Clone)]
pub(crate) struct Delivery {
    couriers: Couriers,
}

/// A notification that is to be sent.
pub(crate) enum Asked {
    /// Its name was chosen for it.
    New(Notification),
    /// Its name is the caller's.
    Named(Notification),
}

impl Asked {
    fn notification(&self) -> &Notification {
        match self {
            Self::New(notification) | Self::Named(notification) => notification,
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

    /// Has the channel deliver it.
    async fn ask(&self, notification: &Notification) -> Result<Outcome, Error> {
        self.courier(notification)?.deliver(notification).await
    }

    /// Has the channel withdraw it, unless it arrived: the channel says which.
    async fn resolve(&self, notification: &Notification) -> Result<Option<Outcome>, Error> {
        self.courier(notification)?.withdraw(notification).await.map(Some)
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
    fn courier(&self, notification: &Notification) -> Result<&Arc<dyn Courier>, Error> {
        let not_set_up = || Error::new(&reasons::CHANNEL_FAILED, "the channel is not set up any more");
        self.couriers.of(notification.channel).ok_or_else(not_set_up)
    }
}

impl DeliverySaga {
    pub(crate) fn new(notifications: &Engine<Notification>, couriers: Couriers, places: Arc<Bulkhead>) -> Self {
        Self { runner: SagaRunner::new(notifications, Delivery { couriers }), places }
    }

    pub(crate) fn notifications(&self) -> &Engine<Notification> {
        self.runner.engine()
    }

    pub(crate) fn couriers(&self) -> &Couriers {
        &self.runner.saga().couriers
    }

    /// Records a notification and delivers it. Repeated, it goes on where it stopped.
    pub(crate) async fn send(&self, request: RequestKey, asked: Asked) -> Result<Arc<Notification>, Error> {
        // What cannot be delivered soon is rejected before anything is recorded.
        let _place = self.places.enter().await?;
        let fingerprint = asked.notification().fingerprint.clone();
        let notification = match asked {
            Asked::New(notification) => self.notifications().create(request, notification).await?,
            Asked::Named(notification) => self.record_named(request, notification).await?,
        };
        if notification.state != State::Withdrawn && notification.fingerprint != fingerprint {
            return Err(taken(&notification));
        }
        let notification = self.runner.advance(notification, Call::Ask).await?;
        if notification.state == State::Withdrawn { Err(withdrawn(&notification)) } else { Ok(notification) }
    }

    /// Something may have this name already, a tombstone perhaps.
    async fn record_named(&self, request: RequestKey, asked: Notification) -> Result<Arc<Notification>, Error> {
        let id = asked.id.clone();
        let rule = move |existing: Option<&Notification>| match existing {
            Some(_) => Ok(Decision::Leave),
            None => Decision::save(asked.clone()),
        };
        self.runner.record(&id, Some(request), rule).await
    }

    /// Makes sure that a notification does not arrive any more, or finds that it did.
    pub(crate) async fn withdraw(
        &self,
        request: Option<RequestKey>,
        tombstone: Notification,
    ) -> Result<Arc<Notification>, Error> {
        let (id, now) = (tombstone.id.clone(), self.notifications().now());
        let rule = move |existing: Option<&Notification>| match existing {
            Some(notification) => notification.withdraw_untried(now),
            None => Notification::entomb(None, &tombstone),
        };
        let notification = self.runner.record(&id, request, rule).await?;
        if notification.state == State::Pending {
            self.attempt(&notification, Call::Resolve).await
        } else {
            Ok(notification)
        }
    }

    /// Makes the attempts that are due. One that fails says nothing about the next: it may take another channel.
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

fn taken(notification: &Notification) -> Error {
    Error::new(&reasons::NOTIFICATION_ID_TAKEN, format!("{} says something else", notification.name()))
}
