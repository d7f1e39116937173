//! The notification context: messages to customers, and whether they were delivered.
//!
//! A notification is recorded as PENDING before its channel is called, and stays PENDING until the channel has
//! answered. Calls to a channel are idempotent by the notification's id. A notification that a caller waits for is
//! withdrawn when its outcome stays unknown; one that follows an event is retried, within limits.
//!
//! ```text
//!            delivered
//! PENDING ───────────▶ DELIVERED
//!  │  │ refused, or given up
//!  │  └──────────────▶ FAILED
//!  │ withdrawn
//!  └─────────────────▶ WITHDRAWN   (the tombstone: a late delivery is refused)
//! ```

mod channels;
mod delivery_saga;
mod domain;
mod grpc;
mod policy;
pub mod reasons;
pub mod settings;
mod subscriber;
mod tables;

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use contracts::notification::v1::notification_service_server::NotificationServiceServer;
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use rpc::MAX_REQUEST_BYTES;
use runtime::{Context, ContextBuilder};

use channels::{ChannelAdapter, ChannelAdapters, Kakao, Webhook};
pub use channels::{KAKAO_SCHEMA, Message, MessageState};
pub use domain::{Channel, Notification, State};
pub use subscriber::Subscriber;

/// How often due notifications are looked for.
const DELIVERY_INTERVAL: Duration = Duration::from_millis(500);
/// The schema of the customers that are notified of order changes.
pub const SUBSCRIBER_SCHEMA: &str = "notification_subscribers";

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");
const KAKAO_MIGRATIONS: EmbeddedMigrations = embed_migrations!("kakao_migrations");
const SUBSCRIBER_MIGRATIONS: EmbeddedMigrations = embed_migrations!("subscriber_migrations");

/// Describes the context for the runtime.
pub fn context() -> Context {
    let databases = vec![
        ("notification", MIGRATIONS),
        (KAKAO_SCHEMA, KAKAO_MIGRATIONS),
        (SUBSCRIBER_SCHEMA, SUBSCRIBER_MIGRATIONS),
    ];
    Context { name: "notification", calls: &[], databases, reasons: reasons::ALL, build }
}

fn build(context: &mut ContextBuilder<'_>) -> anyhow::Result<()> {
    let notifications = context.engine()?;
    let messages = context.engine_without_events(KAKAO_SCHEMA)?;
    let subscribers = context.engine_without_events(SUBSCRIBER_SCHEMA)?;
    let kakao = Arc::new(Kakao::new(messages.clone(), context.clock().clone()));
    let adapters = ChannelAdapters { kakao, webhook: webhook(context)? };
    let default_channel = settings::read_channel(context.setting(&settings::CHANNEL)).map_err(anyhow::Error::msg)?;
    anyhow::ensure!(
        adapters.of(default_channel).is_some(),
        "JUMUN_NOTIFICATION_CHANNEL is webhook: set JUMUN_NOTIFICATION_WEBHOOK_URL"
    );
    let bulkhead = context.bulkhead("notification-channel");
    let delivery_saga = delivery_saga::DeliverySaga::new(&notifications, adapters, bulkhead);
    let api = grpc::NotificationApi { delivery_saga: delivery_saga.clone(), messages, default_channel };
    context.serve(NotificationServiceServer::new(api).max_decoding_message_size(MAX_REQUEST_BYTES));
    context.subscribe("customer", &notifications, &policy::on_customer_event(subscribers.clone(), default_channel));
    context.subscribe("order", &notifications, &policy::on_order_event(subscribers, default_channel));
    context.every(DELIVERY_INTERVAL, "notification-delivery", move || {
        let delivery_saga = delivery_saga.clone();
        async move { delivery_saga.recover().await }
    });
    Ok(())
}

/// The webhook; None when no target is configured.
fn webhook(context: &ContextBuilder<'_>) -> anyhow::Result<Option<Arc<dyn ChannelAdapter>>> {
    let url = settings::read_url(context.setting(&settings::WEBHOOK_URL)).map_err(anyhow::Error::msg)?;
    let Some(url) = url else { return Ok(None) };
    let secret = settings::read_secret(context.setting(&settings::WEBHOOK_SECRET));
    let secret = secret.map_err(anyhow::Error::msg).context("JUMUN_NOTIFICATION_WEBHOOK_SECRET")?;
    Ok(Some(Arc::new(Webhook::new(url, &secret, context.trust().clone(), context.clock().clone()))))
}
