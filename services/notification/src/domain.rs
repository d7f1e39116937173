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

/// How long an attempt that somebody waits for is left alone: longer than any call may take.
pub(crate) const AWAITED_FOR: Duration = Duration::from_secs(5);
/// The pause after an attempt: doubled each time, up to a bound, and up to half as much again, so that what failed
/// together is not tried again together.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const MAX_PAUSE: Duration = Duration::from_secs(300);
/// What somebody waited for is not worth more: its recovery ends within 30 s (rule L1).
const MAX_AWAITED_ATTEMPTS: i64 = 4;
/// What follows an event is worth patience, though not for ever.
const MAX_ATTEMPTS: i64 = 100;
const MAX_AGE: Duration = Duration::from_secs(24 * 3600);

/// Why a notification is FAILED, where the channel has no word of its own.
pub(crate) const GAVE_UP: &str = "GAVE_UP";

engine::states! {
    /// The way that a notification takes.
    pub enum Channel: pb::notification::Channel {
        Kakao,
        Webhook,
    }
}

engine::states! {
    /// Whether a notification arrived; the diagram is at the top of the crate.
    pub enum State: pb::notification::State {
        Pending,
        Delivered,
        Failed,
        Withdrawn,
    }
}

/// Something that somebody is told.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Notification {
    pub id: String,
    /// The account of whom is told; empty on a tombstone that nothing came before.
    pub recipient: String,
    pub channel: Channel,
    pub text: String,
    pub about: String,
    pub occasion: String,
    /// Whether somebody waits for it: then it arrives soon or not at all.
    pub is_awaited: bool,
    /// Tells a repetition from another notification under the same id.
    pub fingerprint: String,
    pub state: State,
    pub state_reason: String,
    pub attempts: i64,
    /// Before this, an attempt may be under way.
    pub next_attempt_time: Time,
    pub create_time: Time,
    pub update_time: Time,
}

impl Notification {
    /// `notifications/{id}`.
    pub fn name(&self) -> String {
        format!("notifications/{}", self.id)
    }

    /// Takes on the next attempt, so that nobody else makes it; gives up what was tried often or long enough.
    pub(crate) fn attempt(&self, now: Time) -> Result<Decision<Notification>, Error> {
        if self.state != State::Pending {
            return Ok(Decision::Leave);
        }
        if self.next_attempt_time > now {
            let message = format!("{} is being delivered at this moment", self.name());
            return Err(Error::new(&reasons::ATTEMPT_UNDER_WAY, message));
        }
        let most = if self.is_awaited { MAX_AWAITED_ATTEMPTS } else { MAX_ATTEMPTS };
        if self.attempts >= most || now.since(self.create_time) > MAX_AGE {
            return self.fail(GAVE_UP, now);
        }
        let next_attempt_time = now + self.pause();
        Decision::save(Notification {
            attempts: self.attempts + 1,
            next_attempt_time,
            update_time: now,
            ..self.clone()
        })
    }

    /// It arrived.
    pub(crate) fn deliver(&self, now: Time) -> Result<Decision<Notification>, Error> {
        self.end(State::Delivered, "", now, Kind::Delivered(pb::NotificationDelivered {}))
    }

    /// It did not arrive, for this reason, and is not tried any more.
    pub(crate) fn fail(&self, reason: &str, now: Time) -> Result<Decision<Notification>, Error> {
        self.end(State::Failed, reason, now, Kind::Failed(pb::NotificationFailed { reason: reason.to_owned() }))
    }

    /// It did not arrive, and the channel was told not to let it.
    pub(crate) fn withdraw(&self, now: Time) -> Result<Decision<Notification>, Error> {
        self.end(State::Withdrawn, "", now, Kind::Withdrawn(pb::NotificationWithdrawn {}))
    }

    /// The same, where nobody has tried to deliver it: then no channel need be asked.
    pub(crate) fn withdraw_untried(&self, now: Time) -> Result<Decision<Notification>, Error> {
        if self.attempts == 0 { self.withdraw(now) } else { Ok(Decision::Leave) }
    }

    /// Leaves a tombstone where nothing is, so that what comes late is refused.
    pub(crate) fn entomb(
        existing: Option<&Notification>,
        tombstone: &Notification,
    ) -> Result<Decision<Notification>, Error> {
        match existing {
            Some(_) => Ok(Decision::Leave),
            None => tombstone.announce(Kind::Withdrawn(pb::NotificationWithdrawn {})),
        }
    }

    /// The first word counts: what arrived stays so, and what was given up, too.
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

    /// How long after this attempt the next one comes; by the id, so that it is the same each time it is worked out.
    fn pause(&self) -> Duration {
        let doublings = u32::try_from(self.attempts.min(16)).unwrap_or_default();
        let pause = (FIRST_PAUSE * 2_u32.pow(doublings)).min(MAX_PAUSE);
        let mut hasher = DefaultHasher::new();
        (&self.id, self.attempts).hash(&mut hasher);
        let permille = u32::try_from(hasher.finish() % 500).unwrap_or_default();
        pause + pause * permille / 1000
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
