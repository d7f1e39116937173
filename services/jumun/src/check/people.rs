//! What the books say about people: who is registered, and what they were told.

use std::collections::HashMap;

use kit::{Places, Time};

use super::books::by_id;

#[derive(Default)]
pub(super) struct People {
    pub(super) customers: HashMap<String, Customer>,
    pub(super) notifications: HashMap<String, Notification>,
    /// By the notification's id.
    pub(super) messages: HashMap<String, Message>,
}

pub(super) struct Customer {
    pub(super) state: String,
    pub(super) update_time: Time,
    display_name: String,
    phone: String,
    address: String,
}

kit::record! {
    Customer in "customers" { state, update_time, display_name, phone, address }
}

impl Customer {
    /// What nobody else needs.
    pub(super) fn personal(&self) -> [&str; 3] {
        [&self.display_name, &self.phone, &self.address]
    }
}

pub(super) struct Notification {
    pub(super) recipient: String,
    pub(super) channel: String,
    pub(super) about: String,
    pub(super) occasion: String,
    pub(super) is_awaited: bool,
    pub(super) state: String,
    pub(super) update_time: Time,
}

kit::record! {
    Notification in "notifications" { recipient, channel, about, occasion, is_awaited, state, update_time }
}

/// A message in the simulated Kakao's own ledger.
pub(super) struct Message {
    pub(super) state: String,
}

kit::record! {
    Message in "messages" { state }
}

impl People {
    /// Reads what there is, downstream first.
    pub(super) async fn read(places: &Places) -> anyhow::Result<Self> {
        let has = |context: &str| places.databases.contains_key(context);
        let mut people = Self::default();
        if has("notification") {
            people.messages = by_id(&places.database("notification", notification::KAKAO_SCHEMA)?).await?;
            people.notifications = by_id(&places.database("notification", "notification")?).await?;
        }
        if has("customer") {
            people.customers = by_id(&places.database("customer", "customer")?).await?;
        }
        Ok(people)
    }
}
