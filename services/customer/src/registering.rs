//! Customer → notification: the protocol that registers whom a welcome reached, and nobody else.
//!
//! The outcome of a call to notification can be unknown, and then it is never guessed: the registration stays PENDING,
//! the caller is told to ask again, and the recovery has the welcome withdrawn. Notification's word is final: either it
//! arrived, and the customer is registered after all, or it never will, because whatever comes late meets its tombstone.
//! So PENDING is the one state that waits; whoever hears the word first writes it down.

use std::{sync::Arc, time::Duration};

use contracts::notification::v1::{
    Notification, SendNotificationRequest, WithdrawNotificationRequest, notification::State as NotificationState,
    notification_service_client::NotificationServiceClient,
};
use kit::{Channel, Decision, Engine, Error, MAX_OUTGOING_CALL, RequestKey, Time, reason_of, recovery};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::{
    domain::{Customer, NOTIFICATION_UNCONFIRMED, State},
    reasons,
};

/// A registration may wait for notification's answer so long before it counts as abandoned: longer than any call takes.
const ABANDONED_AFTER: Duration = Duration::from_secs(5);
const _: () = assert!(ABANDONED_AFTER.as_millis() > 2 * MAX_OUTGOING_CALL.as_millis());
/// Registrations recovered in one round, and at once.
const MAX_RECOVERED: usize = 1024;
const RECOVERED_AT_ONCE: usize = 64;
/// What a customer is told.
const WELCOME: &str = "Welcome to Jumun: you are being registered.";
const OCCASION: &str = "CUSTOMER_REGISTERED";

/// Brings registrations to notification.
#[derive(Clone)]
pub(crate) struct Registering {
    pub(crate) customers: Engine<Customer>,
    pub(crate) notifications: NotificationServiceClient<Channel>,
    /// The same way, to ask about it.
    pub(crate) to_notification: Channel,
}

/// What notification is known to have said; it never takes it back.
enum Word {
    /// The welcome arrived.
    Delivered,
    /// It never will, for this reason.
    Refused(String),
}

impl Registering {
    /// Writes the registration down, asks notification, and answers with what the registration then is. Repeated, it
    /// goes on where it stopped.
    pub(crate) async fn register(&self, request: RequestKey, requested: Customer) -> Result<Arc<Customer>, Error> {
        if let Err(closed) = self.to_notification.check()
            && !self.customers.remembers(&request).await?
        {
            return Err(not_asked(&closed));
        }
        let customer = self.customers.create(request, requested).await?;
        if customer.state != State::Pending {
            return Ok(customer);
        }
        let word = self.welcome(&customer).await.map_err(|status| unconfirmed(&customer, &status))?;
        self.follow(&customer, word).await
    }

    /// Asks notification to deliver the welcome. It is idempotent per registration, so it is asked again when it
    /// does not answer.
    async fn welcome(&self, customer: &Customer) -> Result<Word, Status> {
        let request = SendNotificationRequest {
            notification: Some(Notification {
                recipient: customer.account.clone(),
                text: WELCOME.to_owned(),
                about: customer.name(),
                occasion: OCCASION.to_owned(),
                ..Notification::default()
            }),
            request_id: customer.id.clone(),
            notification_id: customer.welcome_id(),
        };
        let ask = |channel| {
            let request = request.clone();
            async move { NotificationServiceClient::new(channel).send_notification(request).await }
        };
        let answer = self.to_notification.call_idempotent(ask).await;
        match answer {
            Ok(notification) => word(notification.get_ref()),
            Err(status) => match (status.code(), reason_of(&status).as_str()) {
                (Code::FailedPrecondition, "NOTIFICATION_WITHDRAWN") => {
                    Ok(Word::Refused(NOTIFICATION_UNCONFIRMED.to_owned()))
                }
                _ => Err(status),
            },
        }
    }

    /// Does what notification's word means for the registration.
    async fn follow(&self, customer: &Customer, word: Word) -> Result<Arc<Customer>, Error> {
        match word {
            Word::Delivered => self.decide(customer, Customer::register).await,
            Word::Refused(reason) => self.decide(customer, move |customer, now| customer.reject(&reason, now)).await,
        }
    }

    async fn decide(
        &self,
        customer: &Customer,
        mut rule: impl FnMut(&Customer, Time) -> Result<Decision<Customer>, Error> + Send + 'static,
    ) -> Result<Arc<Customer>, Error> {
        let now = self.customers.now();
        let decided = self.customers.command(&customer.name(), None, move |customer| rule(customer, now)).await?;
        decided.state.ok_or_else(|| Error::internal("a customer was decided upon and is not there"))
    }

    /// Brings every registration to an end that waits for notification's word longer than any call takes.
    pub(crate) async fn recover(&self) -> Result<(), Error> {
        let before = self.customers.now() - ABANDONED_AFTER;
        let condition = "state = 'PENDING' AND update_time < ? ORDER BY update_time";
        let abandoned = self.customers.find(condition, vec![before.0.into()], MAX_RECOVERED).await?;
        if !abandoned.is_empty() {
            tracing::info!(customers = abandoned.len(), "asking notification about abandoned registrations");
        }
        let end = async |customer: Customer| self.bring_to_an_end(&customer).await;
        recovery::bring_to_an_end(abandoned, RECOVERED_AT_ONCE, end).await
    }

    /// Has the welcome withdrawn, unless it arrived: notification says which.
    async fn bring_to_an_end(&self, customer: &Customer) -> Result<(), Error> {
        let name = format!("notifications/{}", customer.welcome_id());
        let request = WithdrawNotificationRequest { name, request_id: customer.id.clone() };
        let answer = self.notifications.clone().withdraw_notification(request).await;
        match answer.and_then(|notification| word(notification.get_ref())) {
            Ok(word) => self.follow(customer, word).await.map(drop),
            // It is being delivered at this moment: the next round learns what came of it.
            Err(status) if status.code() == Code::Aborted => Ok(()),
            Err(status) => Err(unconfirmed(customer, &status)),
        }
    }
}

fn word(notification: &Notification) -> Result<Word, Status> {
    match notification.state() {
        NotificationState::Delivered => Ok(Word::Delivered),
        NotificationState::Failed => Ok(Word::Refused(notification.state_reason.clone())),
        NotificationState::Withdrawn => Ok(Word::Refused(NOTIFICATION_UNCONFIRMED.to_owned())),
        NotificationState::Pending | NotificationState::Unspecified => {
            Err(Status::unknown("notification answered without a word"))
        }
    }
}

/// What the caller is told when notification is not asked, because it does not answer anybody at present.
fn not_asked(closed: &Error) -> Error {
    let message = "notification does not answer at present, so nobody was registered; repeat the request";
    Error::new(&reasons::NOTIFICATION_UNAVAILABLE, message).retry_as_told(closed.retry_after)
}

/// What the caller is told while it is unknown whether the welcome arrived.
pub(crate) fn unconfirmed(customer: &Customer, status: &Status) -> Error {
    tracing::debug!(customer = customer.id, %status, "welcome unconfirmed");
    let error = match status.code() {
        Code::ResourceExhausted => {
            let message = "notification is overloaded, so the registration is put off; repeat the request";
            let told = status.get_details_retry_info().and_then(|info| info.retry_delay);
            Error::new(&reasons::NOTIFICATION_OVERLOADED, message).retry_as_told(told)
        }
        Code::DeadlineExceeded => Error::new(
            &reasons::NOTIFICATION_TIMED_OUT,
            "notification did not answer in time; repeat the request to learn what became of it",
        ),
        _ => Error::new(
            &reasons::NOTIFICATION_UNAVAILABLE,
            "notification cannot be reached; repeat the request to learn what became of it",
        ),
    };
    error.with("customer", customer.name())
}
