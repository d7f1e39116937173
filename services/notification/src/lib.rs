//! The notification context: what people are told, and whether it reached them.
//!
//! A notification is written down as PENDING before the channel is asked, and stays so until the channel has given its
//! word; every question to it is idempotent by the notification's id. What somebody waits for is withdrawn when its
//! outcome was not learnt in time; what follows an event is tried again, within bounds.
//!
//! ```text
//!            arrived
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

use channels::{Courier, Couriers, Kakao, Webhook};
pub use channels::{KAKAO_SCHEMA, Message, MessageState};
pub use domain::{Channel, Notification, State};
pub use subscriber::Subscriber;

/// How often notifications are looked for that are to be tried.
const ROUND: Duration = Duration::from_millis(500);
/// The schema of those who want to hear when an order changes.
pub const SUBSCRIBER_SCHEMA: &str = "notification_subscribers";

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");
const KAKAO_MIGRATIONS: EmbeddedMigrations = embed_migrations!("kakao_migrations");
const SUBSCRIBER_MIGRATIONS: EmbeddedMigrations = embed_migrations!("subscriber_migrations");

/// The context, for the list.
pub fn context() -> Context {
    let databases = vec![
        ("notification", MIGRATIONS),
        (KAKAO_SCHEMA, KAKAO_MIGRATIONS),
        (SUBSCRIBER_SCHEMA, SUBSCRIBER_MIGRATIONS),
    ];
    Context { name: "notification", calls: &[], databases, reasons: reasons::ALL, build }
}

fn build(unit: &mut ContextBuilder<'_>) -> anyhow::Result<()> {
    let notifications = unit.engine()?;
    let messages = unit.engine_without_events(KAKAO_SCHEMA)?;
    let subscribers = unit.engine_without_events(SUBSCRIBER_SCHEMA)?;
    let kakao = Arc::new(Kakao::new(messages.clone(), unit.clock().clone()));
    let couriers = Couriers { kakao, webhook: webhook(unit)? };
    let default_channel = settings::read_channel(unit.setting(&settings::CHANNEL)).map_err(anyhow::Error::msg)?;
    anyhow::ensure!(
        couriers.of(default_channel).is_some(),
        "JUMUN_NOTIFICATION_CHANNEL is webhook: set JUMUN_NOTIFICATION_WEBHOOK_URL"
    );
    let places = unit.bulkhead("notification-channel");
    let delivery_saga = delivery_saga::DeliverySaga::new(&notifications, couriers, places);
    let api = grpc::NotificationApi { delivery_saga: delivery_saga.clone(), messages, default_channel };
    unit.serve(NotificationServiceServer::new(api).max_decoding_message_size(MAX_REQUEST_BYTES));
    unit.subscribe("customer", &notifications, &policy::on_customer_event(subscribers.clone(), default_channel));
    unit.subscribe("order", &notifications, &policy::on_order_event(subscribers, default_channel));
    unit.every(ROUND, "notification-delivery", move || {
        let delivery_saga = delivery_saga.clone();
        async move { delivery_saga.recover().await }
    });
    Ok(())
}

/// The webhook, where a target is set.
fn webhook(unit: &ContextBuilder<'_>) -> anyhow::Result<Option<Arc<dyn Courier>>> {
    let url = settings::read_url(unit.setting(&settings::WEBHOOK_URL)).map_err(anyhow::Error::msg)?;
    let Some(url) = url else { return Ok(None) };
    let secret = settings::read_secret(unit.setting(&settings::WEBHOOK_SECRET));
    let secret = secret.map_err(anyhow::Error::msg).context("JUMUN_NOTIFICATION_WEBHOOK_SECRET")?;
    Ok(Some(Arc::new(Webhook::new(url, &secret, unit.trust().clone(), unit.clock().clone()))))
}
