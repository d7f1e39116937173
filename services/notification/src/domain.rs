//! The rules of a notification. Pure: no database, no network, no clock.

#[cfg(test)]
mod tests;

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use contracts::notification::v1::{self as pb, notification_event::Kind};
use engine::{Aggregate, Decision};
use jumun_core::{Error, Time};

use crate::reasons;

/// The time until the next attempt when a caller waits for the first one: longer than any call may take.
pub(crate) const AWAITED_FOR: Duration = Duration::from_secs(5);
/// The backoff after an attempt: doubled each time up to a maximum, plus up to half as much of jitter, so that
/// notifications that failed together are not retried together.
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
const MAX_BACKOFF: Duration = Duration::from_secs(300);
/// The limit when a caller waited: the recovery ends within 30 s (rule L1).
const MAX_AWAITED_ATTEMPTS: i64 = 4;
/// The limits of a notification that follows an event.
const MAX_ATTEMPTS: i64 = 100;
const MAX_AGE: Duration = Duration::from_secs(24 * 3600);

/// The `state_reason` of a FAILED notification that no channel has refused.
pub(crate) const GAVE_UP: &str = "GAVE_UP";

engine::states! {
    /// The channel of a notification.
    pub enum Channel: pb::notification::Channel {
        Kakao,
        Webhook,
    }
}

engine::states! {
    /// The state of a notification; the diagram is at the top of the crate.
    pub enum State: pb::notification::State {
        Pending,
        Delivered,
        Failed,
        Withdrawn,
    }
}

/// A message to a customer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Notification {
    pub id: String,
    /// The account; empty on a tombstone that no notification preceded.
    pub recipient: String,
    pub channel: Channel,
    pub text: String,
    pub about: String,
    pub occasion: String,
    /// Whether a caller waits for it: then it is delivered soon or withdrawn.
    pub is_awaited: bool,
    /// Distinguishes a repetition from another notification under the same id.
    pub fingerprint: String,
    pub state: State,
    pub state_reason: String,
    pub attempts: i64,
    /// Until then an attempt may be in progress.
    pub next_attempt_time: Time,
    pub create_time: Time,
    pub update_time: Time,
}

impl Notification {
    /// `notifications/{id}`.
    pub fn name(&self) -> String {
        format!("notifications/{}", self.id)
    }

    /// Records the next attempt, so that no other replica makes it, or fails when a limit is reached.
    pub(crate) fn attempt(&self, now: Time) -> Result<Decision<Notification>, Error> {
        if self.state != State::Pending {
            return Ok(Decision::Leave);
        }
        if self.next_attempt_time > now {
            let message = format!("{} is being delivered at this moment", self.name());
            return Err(Error::new(&reasons::ATTEMPT_UNDER_WAY, message));
        }
        let max_attempts = if self.is_awaited { MAX_AWAITED_ATTEMPTS } else { MAX_ATTEMPTS };
        if self.attempts >= max_attempts || now.since(self.create_time) > MAX_AGE {
            return self.fail(GAVE_UP, now);
        }
        let next_attempt_time = now + self.backoff();
        Decision::save(Notification {
            attempts: self.attempts + 1,
            next_attempt_time,
            update_time: now,
            ..self.clone()
        })
    }

    /// It was delivered.
    pub(crate) fn deliver(&self, now: Time) -> Result<Decision<Notification>, Error> {
        self.end(State::Delivered, "", now, Kind::Delivered(pb::NotificationDelivered {}))
    }

    /// It was not delivered, for this reason, and is not tried any more.
    pub(crate) fn fail(&self, reason: &str, now: Time) -> Result<Decision<Notification>, Error> {
        self.end(State::Failed, reason, now, Kind::Failed(pb::NotificationFailed { reason: reason.to_owned() }))
    }

    /// It was not delivered, and its channel will refuse a late delivery.
    pub(crate) fn withdraw(&self, now: Time) -> Result<Decision<Notification>, Error> {
        self.end(State::Withdrawn, "", now, Kind::Withdrawn(pb::NotificationWithdrawn {}))
    }

    /// Withdraws it without a call to its channel, if no attempt was made.
    pub(crate) fn withdraw_untried(&self, now: Time) -> Result<Decision<Notification>, Error> {
        if self.attempts == 0 { self.withdraw(now) } else { Ok(Decision::Leave) }
    }

    /// Leaves a tombstone if there is no notification, so that a late one is refused.
    pub(crate) fn leave_tombstone(
        existing: Option<&Notification>,
        tombstone: &Notification,
    ) -> Result<Decision<Notification>, Error> {
        match existing {
            Some(_) => Ok(Decision::Leave),
            None => tombstone.announce(Kind::Withdrawn(pb::NotificationWithdrawn {})),
        }
    }

    /// Ends it; the first outcome stays.
    fn end(&self, state: State, reason: &str, now: Time, kind: Kind) -> Result<Decision<Notification>, Error> {
        match self.state {
            State::Pending => {
                let state_reason = reason.to_owned();
                Notification { state, state_reason, update_time: now, ..self.clone() }.announce(kind)
            }
            State::Delivered | State::Failed | State::Withdrawn => Ok(Decision::Leave),
        }
    }

    fn announce(&self, kind: Kind) -> Result<Decision<Notification>, Error> {
        let event = pb::NotificationEvent {
            notification: self.name(),
            about: self.about.clone(),
            occasion: self.occasion.clone(),
            kind: Some(kind),
        };
        Decision::announce(self.clone(), event)
    }

    /// The time until the next attempt. The jitter follows from the id, so it is the same each time it is computed.
    fn backoff(&self) -> Duration {
        let doublings = u32::try_from(self.attempts.min(16)).unwrap_or_default();
        let backoff = (FIRST_BACKOFF * 2_u32.pow(doublings)).min(MAX_BACKOFF);
        let mut hasher = DefaultHasher::new();
        (&self.id, self.attempts).hash(&mut hasher);
        let permille = u32::try_from(hasher.finish() % 500).unwrap_or_default();
        backoff + backoff * permille / 1000
    }
}

impl Aggregate for Notification {
    type Event = pb::NotificationEvent;
    type Resource = pb::Notification;

    fn id(&self) -> &str {
        &self.id
    }

    fn resource(&self) -> pb::Notification {
        pb::Notification {
            name: self.name(),
            recipient: self.recipient.clone(),
            channel: self.channel.into(),
            text: self.text.clone(),
            about: self.about.clone(),
            occasion: self.occasion.clone(),
            state: self.state.into(),
            state_reason: self.state_reason.clone(),
            create_time: Some(self.create_time.to_timestamp()),
            update_time: Some(self.update_time.to_timestamp()),
        }
    }
}
