//! Delivering: the notification first, then the call to the channel, then its word.
//!
//! The outcome of the call can be unknown, and then it is never guessed: the notification stays PENDING until the
//! channel has given its word. What somebody waited for arrives at once or is withdrawn, behind a tombstone that a late
//! delivery meets. What follows an event is tried again, less and less often, within bounds.

use std::sync::Arc;

use futures::{StreamExt, stream};
use kit::{Bulkhead, Decision, Engine, Error, RequestKey, Time};

use crate::{
    channels::{Couriers, Word},
    domain::{Notification, State},
    reasons,
};

/// Notifications taken up in one round, and at once.
const MAX_TAKEN_UP: usize = 1024;
const AT_ONCE: usize = 64;

/// Brings notifications to their recipients.
#[derive(Clone)]
pub(crate) struct Delivering {
    pub(crate) notifications: Engine<Notification>,
    pub(crate) couriers: Couriers,
    /// Those whom somebody waits for; a channel can do only so much at once.
    pub(crate) places: Arc<Bulkhead>,
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

/// What is asked of a channel.
#[derive(Clone, Copy)]
enum Ask {
    Deliver,
    Withdraw,
}

impl Delivering {
    /// Writes a notification down and delivers it. Repeated, it goes on where it stopped.
    pub(crate) async fn send(&self, request: RequestKey, asked: Asked) -> Result<Arc<Notification>, Error> {
        // What cannot be delivered soon is turned away before anything is written.
        let _place = self.places.enter().await?;
        let fingerprint = asked.notification().fingerprint.clone();
        let notification = match asked {
            Asked::New(notification) => self.notifications.create(request, notification).await?,
            Asked::Named(notification) => self.write_named(request, notification).await?,
        };
        match notification.state {
            State::Withdrawn => Err(withdrawn(&notification)),
            _ if notification.fingerprint != fingerprint => Err(taken(&notification)),
            State::Pending => match self.hand_over(&notification, Ask::Deliver).await? {
                notification if notification.state == State::Withdrawn => Err(withdrawn(&notification)),
                notification => Ok(notification),
            },
            State::Delivered | State::Failed => Ok(notification),
        }
    }

    /// Something may have this name already, a tombstone perhaps.
    async fn write_named(&self, request: RequestKey, asked: Notification) -> Result<Arc<Notification>, Error> {
        let id = asked.id.clone();
        let rule = move |existing: Option<&Notification>| match existing {
            Some(_) => Ok(Decision::Leave),
            None => Decision::save(asked.clone()),
        };
        self.written(&id, Some(request), rule).await
    }

    /// A notification as it is after a rule, or as it is by now when the request came before.
    async fn written(
        &self,
        id: &str,
        request: Option<RequestKey>,
        rule: impl FnMut(Option<&Notification>) -> Result<Decision<Notification>, Error> + Send + 'static,
    ) -> Result<Arc<Notification>, Error> {
        match self.notifications.execute(id, request, rule).await?.state {
            Some(notification) => Ok(notification),
            None => existing(self.notifications.get(id).await?.map(Arc::new)),
        }
    }

    /// Makes sure that a notification does not arrive any more, or finds that it did.
    pub(crate) async fn withdraw(
        &self,
        request: Option<RequestKey>,
        tombstone: Notification,
    ) -> Result<Arc<Notification>, Error> {
        let (id, now) = (tombstone.id.clone(), self.notifications.now());
        let rule = move |existing: Option<&Notification>| match existing {
            Some(notification) => notification.withdraw_untried(now),
            None => Notification::entomb(None, &tombstone),
        };
        let notification = self.written(&id, request, rule).await?;
        if notification.state == State::Pending {
            self.settle(&notification, Ask::Withdraw).await
        } else {
            Ok(notification)
        }
    }

    /// Takes up whatever is to be tried now.
    pub(crate) async fn take_up(&self) -> Result<(), Error> {
        let now = self.notifications.now();
        let condition = "state = 'PENDING' AND next_attempt_time <= ? ORDER BY next_attempt_time";
        let due = self.notifications.find(condition, vec![now.0.into()], MAX_TAKEN_UP).await?;
        stream::iter(due)
            .for_each_concurrent(AT_ONCE, async |notification| {
                let ask = if notification.is_awaited { Ask::Withdraw } else { Ask::Deliver };
                if let Err(error) = self.settle(&notification, ask).await {
                    tracing::debug!(%error, notification = notification.id, "not delivered yet");
                }
            })
            .await;
        Ok(())
    }

    /// Makes the next attempt, unless it is somebody else's.
    async fn settle(&self, notification: &Notification, ask: Ask) -> Result<Arc<Notification>, Error> {
        let attempted = self.decide(notification, Notification::attempt).await?;
        if attempted.state == State::Pending { self.hand_over(&attempted, ask).await } else { Ok(attempted) }
    }

    /// Asks the channel, and writes down what it says.
    async fn hand_over(&self, notification: &Notification, ask: Ask) -> Result<Arc<Notification>, Error> {
        let not_set_up = || Error::new(&reasons::CHANNEL_FAILED, "the channel is not set up any more");
        let courier = self.couriers.of(notification.channel).ok_or_else(not_set_up)?;
        let word = match ask {
            Ask::Deliver => courier.deliver(notification).await?,
            Ask::Withdraw => courier.withdraw(notification).await?,
        };
        match word {
            Word::Delivered => self.decide(notification, Notification::deliver).await,
            Word::Withdrawn => self.decide(notification, Notification::withdraw).await,
            Word::Refused(reason) => {
                self.decide(notification, move |notification, now| notification.fail(&reason, now)).await
            }
        }
    }

    async fn decide(
        &self,
        notification: &Notification,
        mut rule: impl FnMut(&Notification, Time) -> Result<Decision<Notification>, Error> + Send + 'static,
    ) -> Result<Arc<Notification>, Error> {
        let (name, now) = (notification.name(), self.notifications.now());
        existing(self.notifications.command(&name, None, move |notification| rule(notification, now)).await?.state)
    }
}

fn existing(notification: Option<Arc<Notification>>) -> Result<Arc<Notification>, Error> {
    notification.ok_or_else(|| Error::internal("a notification was decided upon and is not there"))
}

fn withdrawn(notification: &Notification) -> Error {
    let message = format!("{} was withdrawn and is not delivered", notification.name());
    Error::new(&reasons::NOTIFICATION_WITHDRAWN, message)
}

fn taken(notification: &Notification) -> Error {
    Error::new(&reasons::NOTIFICATION_ID_TAKEN, format!("{} says something else", notification.name()))
}
