//! A simulated KakaoTalk: durable like the real one, with a ledger of its own, in which a message that arrived twice
//! would show. It behaves by the first word of the recipient's id, as test cards do.

use std::time::Duration;

use contracts::notification::v1 as pb;
use engine::{Aggregate, Decision, Engine};
use jumun_core::{
    Clock, Error, Time, task,
    time::{sleep, timeout},
};

use super::{Courier, Outcome};
use crate::{domain::Notification, reasons};

/// The schema of the simulated Kakao's ledger.
pub const KAKAO_SCHEMA: &str = "notification_kakao";

/// How long Kakao may take to answer. What takes longer is unknown.
const TIMEOUT: Duration = Duration::from_millis(1500);
/// `slow` takes between these.
const SLOW_MIN_MS: i64 = 400;
const SLOW_MAX_MS: i64 = 620;
/// `late` delivers after everybody has given up.
const LATE: Duration = Duration::from_secs(8);
/// What Kakao says of recipients who block messages.
const RECIPIENT_BLOCKED: &str = "RECIPIENT_BLOCKED";

/// One row of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Message {
    /// The idempotency key, which is the notification's id.
    pub id: String,
    /// Empty when it was withdrawn before it came.
    pub recipient: String,
    pub text: String,
    pub state: MessageState,
    pub create_time: Time,
}

engine::states! {
    /// Where a message is.
    pub enum MessageState: pb::inbox_message::State {
        Delivered,
        Withdrawn,
    }
}

impl Message {
    /// What is first stays: a message that arrived, or the tombstone.
    fn write(existing: Option<&Message>, message: &Message) -> Result<Decision<Message>, Error> {
        match existing {
            Some(_) => Ok(Decision::Leave),
            None => Decision::save(message.clone()),
        }
    }

    fn outcome(&self) -> Outcome {
        match self.state {
            MessageState::Delivered => Outcome::Delivered,
            MessageState::Withdrawn => Outcome::Withdrawn,
        }
    }
}

impl Aggregate for Message {
    type Event = ();
    type Resource = pb::InboxMessage;

    fn id(&self) -> &str {
        &self.id
    }

    fn resource(&self) -> pb::InboxMessage {
        pb::InboxMessage {
            name: format!("inboxMessages/{}", self.id),
            recipient: self.recipient.clone(),
            text: self.text.clone(),
            state: self.state.into(),
            create_time: Some(self.create_time.to_timestamp()),
        }
    }
}

/// Tells nobody anything, and keeps a ledger as if it did.
#[derive(Clone)]
pub(crate) struct Kakao {
    messages: Engine<Message>,
    clock: Clock,
}

impl Kakao {
    pub(crate) fn new(messages: Engine<Message>, clock: Clock) -> Self {
        Self { messages, clock }
    }

    async fn write(&self, notification: &Notification, state: MessageState) -> Result<Outcome, Error> {
        let message = Message {
            id: notification.id.clone(),
            recipient: notification.recipient.clone(),
            text: notification.text.clone(),
            state,
            create_time: self.clock.now(),
        };
        let rule = move |existing: Option<&Message>| Message::write(existing, &message);
        let done = self.messages.execute(notification.id.clone(), None, rule).await?;
        done.state
            .map(|message| message.outcome())
            .ok_or_else(|| Error::internal("a message was written and is not there"))
    }

    /// Delivers when nobody waits any more, unless it was told not to meanwhile.
    fn deliver_late(&self, notification: &Notification) {
        let (kakao, notification) = (self.clone(), notification.clone());
        task::spawn(async move {
            kakao.clock.sleep(LATE).await;
            let outcome = kakao.write(&notification, MessageState::Delivered).await;
            tracing::debug!(notification = notification.id, ?outcome, "a late message");
        });
    }

    /// As slow as on a bad day; another wait each time.
    fn slowness(&self) -> Duration {
        let millis = SLOW_MIN_MS + self.clock.now().0 % (SLOW_MAX_MS - SLOW_MIN_MS + 1);
        Duration::from_millis(u64::try_from(millis).unwrap_or_default())
    }

    async fn behave(&self, notification: &Notification) -> Result<Outcome, Error> {
        let id = notification.recipient.rsplit('/').next().unwrap_or_default();
        match id.split('-').next() {
            Some("blocked") => Ok(Outcome::Refused(RECIPIENT_BLOCKED.to_owned())),
            Some("failing") => Err(Error::new(&reasons::CHANNEL_FAILED, "the channel failed")),
            Some("slow") => {
                sleep(self.slowness()).await;
                self.write(notification, MessageState::Delivered).await
            }
            Some("lost") => {
                self.write(notification, MessageState::Delivered).await?;
                std::future::pending().await
            }
            Some("late") => {
                self.deliver_late(notification);
                std::future::pending().await
            }
            _ => self.write(notification, MessageState::Delivered).await,
        }
    }
}

#[tonic::async_trait]
impl Courier for Kakao {
    async fn deliver(&self, notification: &Notification) -> Result<Outcome, Error> {
        match timeout(TIMEOUT, self.behave(notification)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Error::new(&reasons::CHANNEL_TIMED_OUT, "the channel did not answer in time")),
        }
    }

    async fn withdraw(&self, notification: &Notification) -> Result<Outcome, Error> {
        self.write(notification, MessageState::Withdrawn).await
    }
}
