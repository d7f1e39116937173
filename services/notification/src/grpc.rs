//! The gRPC API of the notification context.

use contracts::notification::v1::{
    GetNotificationRequest, ListInboxMessagesRequest, ListInboxMessagesResponse, ListNotificationsRequest,
    ListNotificationsResponse, Notification as NotificationResource, SendNotificationRequest,
    WithdrawNotificationRequest, notification::Channel as ChannelResource,
    notification_service_server::NotificationService,
};
use engine::{Aggregate, Engine, FilterField, RequestKey, page_request};
use jumun_core::{
    Error, Time, Violations, declared, name::fingerprint, name::new_id, request_context::run_to_completion,
};
use tonic::{Request, Response, Status};

use crate::{
    channels::{Message, MessageState},
    delivery_saga::{DeliverySaga, Requested},
    domain::{AWAITED_FOR, Channel, Notification, State},
};

const FILTER: &[FilterField] =
    &[FilterField::name("recipient"), FilterField::name("about"), FilterField::state::<State>()];
const INBOX_FILTER: &[FilterField] = &[FilterField::name("recipient"), FilterField::state::<MessageState>()];

/// Serves `jumun.notification.v1.NotificationService`.
pub(crate) struct NotificationApi {
    pub(crate) delivery_saga: DeliverySaga,
    pub(crate) messages: Engine<Message>,
    /// For notifications without a channel.
    pub(crate) default_channel: Channel,
}

#[tonic::async_trait]
impl NotificationService for NotificationApi {
    async fn send_notification(
        &self,
        request: Request<SendNotificationRequest>,
    ) -> Result<Response<NotificationResource>, Status> {
        let request = request.into_inner();
        let requested = self.requested_notification(&request, self.delivery_saga.notifications().now())?;
        let key = declared(RequestKey::new("SendNotification", &request.request_id, &request))?;
        let delivery_saga = self.delivery_saga.clone();
        // Runs to completion, also when the caller disconnects.
        let notification = run_to_completion(async move { delivery_saga.send(key, requested).await }).await?;
        Ok(Response::new(notification.resource()))
    }

    async fn withdraw_notification(
        &self,
        request: Request<WithdrawNotificationRequest>,
    ) -> Result<Response<NotificationResource>, Status> {
        let request = request.into_inner();
        let key = RequestKey::new("WithdrawNotification", &request.request_id, &request);
        let id = request.name.strip_prefix("notifications/").unwrap_or_default();
        let tombstone = tombstone(id, self.default_channel, self.delivery_saga.notifications().now());
        let delivery_saga = self.delivery_saga.clone();
        let notification = run_to_completion(async move { delivery_saga.withdraw(key, tombstone).await }).await?;
        Ok(Response::new(notification.resource()))
    }

    async fn get_notification(
        &self,
        request: Request<GetNotificationRequest>,
    ) -> Result<Response<NotificationResource>, Status> {
        let name = request.into_inner().name;
        Ok(Response::new(self.delivery_saga.notifications().get_named(&name).await?.resource()))
    }

    async fn list_notifications(
        &self,
        request: Request<ListNotificationsRequest>,
    ) -> Result<Response<ListNotificationsResponse>, Status> {
        let request = request.into_inner();
        let page = page_request!(request);
        let (notifications, next_page_token) = self.delivery_saga.notifications().list(page, FILTER).await?;
        let notifications = notifications.iter().map(Aggregate::resource).collect();
        Ok(Response::new(ListNotificationsResponse { notifications, next_page_token }))
    }

    async fn list_inbox_messages(
        &self,
        request: Request<ListInboxMessagesRequest>,
    ) -> Result<Response<ListInboxMessagesResponse>, Status> {
        let request = request.into_inner();
        let page = page_request!(request);
        let (messages, next_page_token) = self.messages.list(page, INBOX_FILTER).await?;
        let inbox_messages = messages.iter().map(Aggregate::resource).collect();
        Ok(Response::new(ListInboxMessagesResponse { inbox_messages, next_page_token }))
    }
}

impl NotificationApi {
    /// Builds the requested notification, and checks what its proto cannot declare.
    fn requested_notification(&self, request: &SendNotificationRequest, now: Time) -> Result<Requested, Error> {
        let sent = declared(request.notification.as_ref())?;
        let channel = match sent.channel() {
            ChannelResource::Unspecified => self.default_channel,
            ChannelResource::Kakao => Channel::Kakao,
            ChannelResource::Webhook => Channel::Webhook,
        };
        let mut violations = Violations::default();
        let is_configured = self.delivery_saga.adapters().of(channel).is_some();
        violations.require(
            is_configured,
            "notification.channel",
            "is not configured: JUMUN_NOTIFICATION_WEBHOOK_URL is not set",
        );
        violations.into_result()?;
        let is_named = !request.notification_id.is_empty();
        let notification = Notification {
            id: if is_named { request.notification_id.clone() } else { new_id() },
            recipient: sent.recipient.clone(),
            channel,
            text: sent.text.clone(),
            about: sent.about.clone(),
            occasion: sent.occasion.clone(),
            is_awaited: true,
            fingerprint: fingerprint(sent),
            state: State::Pending,
            state_reason: String::new(),
            // The attempt of this request.
            attempts: 1,
            next_attempt_time: now + AWAITED_FOR,
            create_time: now,
            update_time: now,
        };
        Ok(if is_named { Requested::Named(notification) } else { Requested::Generated(notification) })
    }
}

fn tombstone(id: &str, channel: Channel, now: Time) -> Notification {
    Notification {
        id: id.to_owned(),
        recipient: String::new(),
        channel,
        text: String::new(),
        about: String::new(),
        occasion: String::new(),
        is_awaited: true,
        fingerprint: String::new(),
        state: State::Withdrawn,
        state_reason: String::new(),
        attempts: 0,
        next_attempt_time: now,
        create_time: now,
        update_time: now,
    }
}
