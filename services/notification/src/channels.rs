//! The ways to a recipient, as a port. Two are shipped: a simulated Kakao inbox and a webhook.

mod kakao;
mod webhook;

use std::sync::Arc;

use jumun_core::Error;

pub(crate) use kakao::Kakao;
pub use kakao::{KAKAO_SCHEMA, Message, MessageState};
pub(crate) use webhook::Webhook;

use crate::domain::{Channel, Notification};

/// What a channel is known to have answered about a notification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It arrived.
    Delivered,
    /// It did not arrive and will not, for this reason.
    Refused(String),
    /// It did not arrive, and what comes late is refused.
    Withdrawn,
}

/// A way to a recipient. Every call is idempotent by the notification's id; an error leaves the outcome unknown.
#[tonic::async_trait]
pub(crate) trait Courier: Send + Sync {
    /// Hands a notification over.
    async fn deliver(&self, notification: &Notification) -> Result<Outcome, Error>;
    /// Makes sure that it does not arrive any more, or finds that it did.
    async fn withdraw(&self, notification: &Notification) -> Result<Outcome, Error>;
}

/// The channels that there are.
#[derive(Clone)]
pub(crate) struct Couriers {
    pub(crate) kakao: Arc<dyn Courier>,
    /// None where no target is set.
    pub(crate) webhook: Option<Arc<dyn Courier>>,
}

impl Couriers {
    /// The way of a channel; None where it is not set up.
    pub(crate) fn of(&self, channel: Channel) -> Option<&Arc<dyn Courier>> {
        match channel {
            Channel::Kakao => Some(&self.kakao),
            Channel::Webhook => self.webhook.as_ref(),
        }
    }
}
