//! How notifications, their subscribers, and the simulated Kakao's messages are stored.

use contracts::role;
use engine::{Owner, Stored};

use crate::{channels::Message, domain::Notification, subscriber::Subscriber};

engine::record! {
    Notification(id: String) in "notifications" {
        recipient,
        channel,
        text,
        about,
        occasion,
        is_awaited,
        fingerprint,
        state,
        state_reason,
        attempts,
        next_attempt_time,
        create_time,
        update_time,
    }
}

impl Stored for Notification {
    /// Owned by its recipient.
    const OWNERS: &'static [Owner<Self>] =
        &[Owner::by(role::CUSTOMER, "recipient", |notification| &notification.recipient)];
}

engine::record! {
    Subscriber(id: String) in "subscribers" {
        account,
        is_listening,
        event_number as ("heard"),
    }
}

impl Stored for Subscriber {
    /// No owner: no method returns subscribers.
    const OWNERS: &'static [Owner<Self>] = &[];
}

engine::record! {
    Message(id: String) in "messages" {
        recipient,
        text,
        state,
        create_time,
    }
}

impl Stored for Message {
    /// Owned by its recipient.
    const OWNERS: &'static [Owner<Self>] = &[Owner::by(role::CUSTOMER, "recipient", |message| &message.recipient)];
}
