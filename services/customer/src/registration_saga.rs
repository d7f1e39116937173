//! Customer → notification: a customer is registered only when the welcome was delivered.
//!
//! The recovery withdraws the welcome. Notification's answer is final: either the welcome was delivered, and the
//! customer is registered, or it never will be, because a tombstone rejects a late delivery. So PENDING is the only
//! unsettled state.

use contracts::notification::v1::{
    Notification, SendNotificationRequest, WithdrawNotificationRequest, notification::State as NotificationState,
    notification_service_client::NotificationServiceClient,
};
use engine::{Decision, Query, StateName};
use jumun_core::{Error, Time, reason_of};
use rpc::Channel;
use saga::{ABANDONED_AFTER, RequestSaga, Saga, SagaRunner};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::{
    domain::{Customer, NOTIFICATION_UNCONFIRMED, State},
    reasons,
};

/// The text of the welcome.
const WELCOME: &str = "Welcome to Jumun: you are being registered.";
const OCCASION: &str = "CUSTOMER_REGISTERED";

/// Runs registrations.
pub(crate) type RegistrationSaga = SagaRunner<Welcome>;

/// The welcome of a registration, over the channel to notification.
#[derive(Clone)]
pub(crate) struct Welcome {
    pub(crate) notification: Channel,
}

/// What notification is known to have answered.
pub(crate) enum Outcome {
    /// The welcome was delivered.
    Delivered,
    /// It was not delivered and never will be, for this reason.
    Refused(String),
}

impl Saga for Welcome {
    type Aggregate = Customer;
    type Outcome = Outcome;
    type Step = ();

    fn step(customer: &Customer) -> Option<()> {
        (customer.state == State::Pending).then_some(())
    }

    /// Sends the welcome. The call is idempotent per registration, so it is repeated when there is no answer.
    async fn ask(&self, customer: &Customer) -> Result<Outcome, Error> {
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
        let call = |channel| {
            let request = request.clone();
            async move { NotificationServiceClient::new(channel).send_notification(request).await }
        };
        let answer = match self.notification.call_idempotent(call).await {
            Ok(notification) => outcome(notification.get_ref()),
            Err(status) => match (status.code(), reason_of(&status).as_str()) {
                (Code::FailedPrecondition, "NOTIFICATION_WITHDRAWN") => {
                    Ok(Outcome::Refused(NOTIFICATION_UNCONFIRMED.to_owned()))
                }
                _ => Err(status),
            },
        };
        answer.map_err(|status| unconfirmed(customer, &status))
    }

    /// Withdraws the welcome, or finds that it was delivered.
    async fn resolve(&self, customer: &Customer) -> Result<Option<Outcome>, Error> {
        let name = format!("notifications/{}", customer.welcome_id());
        let request = WithdrawNotificationRequest { name, request_id: customer.id.clone() };
        let mut client = NotificationServiceClient::new(self.notification.clone());
        let answer = client.withdraw_notification(request).await;
        match answer.and_then(|notification| outcome(notification.get_ref())) {
            Ok(outcome) => Ok(Some(outcome)),
            // It is being delivered at this moment: the next round gets the outcome.
            Err(status) if status.code() == Code::Aborted => Ok(None),
            Err(status) => Err(unconfirmed(customer, &status)),
        }
    }

    fn apply(customer: &Customer, outcome: &Outcome, now: Time) -> Result<Decision<Customer>, Error> {
        match outcome {
            Outcome::Delivered => customer.register(now),
            Outcome::Refused(reason) => customer.reject(reason, now),
        }
    }

    fn unsettled(now: Time) -> Query {
        let pending = Query::new().is("state", State::Pending.name());
        pending.before("update_time", now - ABANDONED_AFTER).order_by("update_time")
    }
}

impl RequestSaga for Welcome {
    fn channel(&self) -> &Channel {
        &self.notification
    }

    fn not_asked(&self, circuit_open: &Error) -> Error {
        let message = "notification is not responding and was not called; no customer was created; repeat the request";
        Error::new(&reasons::NOTIFICATION_UNAVAILABLE, message).override_retry_after(circuit_open.retry_after)
    }
}

fn outcome(notification: &Notification) -> Result<Outcome, Status> {
    match notification.state() {
        NotificationState::Delivered => Ok(Outcome::Delivered),
        NotificationState::Failed => Ok(Outcome::Refused(notification.state_reason.clone())),
        NotificationState::Withdrawn => Ok(Outcome::Refused(NOTIFICATION_UNCONFIRMED.to_owned())),
        NotificationState::Pending | NotificationState::Unspecified => {
            Err(Status::unknown("notification answered without an outcome"))
        }
    }
}

/// The error while it is unknown whether the welcome was delivered.
pub(crate) fn unconfirmed(customer: &Customer, status: &Status) -> Error {
    tracing::debug!(customer = customer.id, %status, "welcome unconfirmed");
    let error = match status.code() {
        Code::ResourceExhausted => {
            let message = "notification is overloaded; repeat the request";
            let retry_delay = status.get_details_retry_info().and_then(|info| info.retry_delay);
            Error::new(&reasons::NOTIFICATION_OVERLOADED, message).override_retry_after(retry_delay)
        }
        Code::DeadlineExceeded => Error::new(
            &reasons::NOTIFICATION_TIMED_OUT,
            "notification did not answer in time; repeat the request to get the result",
        ),
        _ => Error::new(
            &reasons::NOTIFICATION_UNAVAILABLE,
            "notification cannot be reached; repeat the request to get the result",
        ),
    };
    error.with("customer", customer.name())
}
