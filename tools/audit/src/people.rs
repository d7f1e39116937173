//! What the snapshot holds about people: who is registered, and what they were told.

use std::collections::HashMap;

use jumun_core::Time;
use runtime::Topology;

use crate::tables::by_id;

/// The simulated Kakao's ledger, in a database of its own beside notification's.
const KAKAO_SCHEMA: &str = "notification_kakao";

#[derive(Default)]
pub(crate) struct People {
    pub(crate) customers: HashMap<String, Customer>,
    pub(crate) notifications: HashMap<String, Notification>,
    /// By the notification's id.
    pub(crate) messages: HashMap<String, Message>,
}

pub(crate) struct Customer {
    pub(crate) state: String,
    pub(crate) update_time: Time,
    display_name: String,
    phone: String,
    address: String,
}

engine::record! {
    Customer in "customers" { state, update_time, display_name, phone, address }
}

impl Customer {
    /// What nobody else needs.
    pub(crate) fn personal(&self) -> [&str; 3] {
        [&self.display_name, &self.phone, &self.address]
    }
}

pub(crate) struct Notification {
    pub(crate) recipient: String,
    pub(crate) channel: String,
    pub(crate) about: String,
    pub(crate) occasion: String,
    pub(crate) is_awaited: bool,
    pub(crate) state: String,
    pub(crate) update_time: Time,
}

engine::record! {
    Notification in "notifications" { recipient, channel, about, occasion, is_awaited, state, update_time }
}

/// A message in the simulated Kakao's own ledger.
pub(crate) struct Message {
    pub(crate) state: String,
}

engine::record! {
    Message in "messages" { state }
}

impl People {
    /// Reads what there is, downstream first.
    pub(crate) async fn read(places: &Topology) -> anyhow::Result<Self> {
        let has = |context: &str| places.databases.contains_key(context);
        let mut people = Self::default();
        if has("notification") {
            people.messages = by_id(&places.database("notification", KAKAO_SCHEMA)?).await?;
            people.notifications = by_id(&places.database("notification", "notification")?).await?;
        }
        if has("customer") {
            people.customers = by_id(&places.database("customer", "customer")?).await?;
        }
        Ok(people)
    }
}
