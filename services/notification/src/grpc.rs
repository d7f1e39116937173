//! Who may ask the notification context for what.

use contracts::notification::v1::{
    GetNotificationRequest, ListInboxMessagesRequest, ListInboxMessagesResponse, ListNotificationsRequest,
    ListNotificationsResponse, Notification as NotificationResource, SendNotificationRequest,
    WithdrawNotificationRequest, notification::Channel as ChannelResource,
    notification_service_server::NotificationService,
};
use engine::{Aggregate, Engine, FilterField, PageRequest, RequestKey};
use jumun_core::{
    Error, Time, Violations, declared, name::fingerprint, name::new_id, request_context::run_to_completion,
};
use tonic::{Request, Response, Status};

use crate::{
    channels::{Message, MessageState},
    delivery_saga::{Asked, DeliverySaga},
    domain::{AWAITED_FOR, Channel, Notification, State},
};

const FILTER: &[FilterField] =
    &[FilterField::name("recipient"), FilterField::name("about"), FilterField::state::<State>()];
const INBOX_FILTER: &[FilterField] = &[FilterField::name("recipient"), FilterField::state::<MessageState>()];

/// Serves `jumun.notification.v1.NotificationService`.
pub(crate) struct NotificationApi {
    pub(crate) delivery_saga: DeliverySaga,
    pub(crate) messages: Engine<Message>,
    /// Of notifications that name none.
    pub(crate) default_channel: Channel,
}

#[tonic::async_trait]
impl NotificationService for NotificationApi {
    async fn send_notification(
        &self,
        request: Request<SendNotificationRequest>,
    ) -> Result<Response<NotificationResource>, Status> {
        let request = request.into_inner();
        let asked = self.asked_notification(&request, self.delivery_saga.notifications().now())?;
        let key = declared(RequestKey::new("SendNotification", &request.request_id, &request))?;
        let delivery_saga = self.delivery_saga.clone();
        // A caller that goes away does not stop a delivery half way.
        let notification = run_to_completion(async move { delivery_saga.send(key, asked).await }).await?;
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
        let page = PageRequest {
            page_size: request.page_size,
            page_token: &request.page_token,
            filter: &request.filter,
            order_by: &request.order_by,
        };
        let (notifications, next_page_token) = self.delivery_saga.notifications().list(page, FILTER).await?;
        let notifications = notifications.iter().map(Aggregate::resource).collect();
        Ok(Response::new(ListNotificationsResponse { notifications, next_page_token }))
    }

    async fn list_inbox_messages(
        &self,
        request: Request<ListInboxMessagesRequest>,
    ) -> Result<Response<ListInboxMessagesResponse>, Status> {
        let request = request.into_inner();
        let page = PageRequest {
            page_size: request.page_size,
            page_token: &request.page_token,
            filter: &request.filter,
            order_by: &request.order_by,
        };
        let (messages, next_page_token) = self.messages.list(page, INBOX_FILTER).await?;
        let inbox_messages = messages.iter().map(Aggregate::resource).collect();
        Ok(Response::new(ListInboxMessagesResponse { inbox_messages, next_page_token }))
    }
}

impl NotificationApi {
    /// Reads a request, checks what its proto cannot declare, and writes the notification that it asks for.
    fn asked_notification(&self, request: &SendNotificationRequest, now: Time) -> Result<Asked, Error> {
        let asked = declared(request.notification.as_ref())?;
        let channel = match asked.channel() {
            ChannelResource::Unspecified => self.default_channel,
            ChannelResource::Kakao => Channel::Kakao,
            ChannelResource::Webhook => Channel::Webhook,
        };
        let mut violations = Violations::default();
        let is_set_up = self.delivery_saga.couriers().of(channel).is_some();
        violations.require(
            is_set_up,
            "notification.channel",
            "is not set up: JUMUN_NOTIFICATION_WEBHOOK_URL is not set",
        );
        violations.into_result()?;
        let is_named = !request.notification_id.is_empty();
        let notification = Notification {
            id: if is_named { request.notification_id.clone() } else { new_id() },
            recipient: asked.recipient.clone(),
            channel,
            text: asked.text.clone(),
            about: asked.about.clone(),
            occasion: asked.occasion.clone(),
            is_awaited: true,
            fingerprint: fingerprint(asked),
            state: State::Pending,
            state_reason: String::new(),
            // The caller's own.
            attempts: 1,
            next_attempt_time: now + AWAITED_FOR,
            create_time: now,
            update_time: now,
        };
        Ok(if is_named { Asked::Named(notification) } else { Asked::New(notification) })
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
