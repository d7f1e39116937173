//! The channels as a port, with two adapters: a simulated Kakao inbox and a webhook.

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
    /// It was delivered.
    Delivered,
    /// It was not delivered and never will be, for this reason.
    Refused(String),
    /// It was not delivered, and a late delivery is refused.
    Withdrawn,
}

/// A channel. Every call is idempotent by the notification's id; an error leaves the outcome unknown.
#[tonic::async_trait]
pub(crate) trait ChannelAdapter: Send + Sync {
    /// Delivers a notification.
    async fn deliver(&self, notification: &Notification) -> Result<Outcome, Error>;
    /// Makes sure that it is not delivered any more, or finds that it was.
    async fn withdraw(&self, notification: &Notification) -> Result<Outcome, Error>;
}

/// The adapter of each channel.
#[derive(Clone)]
pub(crate) struct ChannelAdapters {
    pub(crate) kakao: Arc<dyn ChannelAdapter>,
    /// None when no target is configured.
    pub(crate) webhook: Option<Arc<dyn ChannelAdapter>>,
}

impl ChannelAdapters {
    /// The adapter of a channel; None when it is not configured.
    pub(crate) fn of(&self, channel: Channel) -> Option<&Arc<dyn ChannelAdapter>> {
        match channel {
            Channel::Kakao => Some(&self.kakao),
            Channel::Webhook => self.webhook.as_ref(),
        }
    }
}
