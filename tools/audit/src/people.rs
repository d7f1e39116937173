//! The part of the snapshot about people: registrations and notifications.

use std::collections::HashMap;

use jumun_core::Time;
use runtime::Topology;

use crate::tables::by_id;

/// The ledger of the simulated Kakao, in a database of its own next to that of notification.
const KAKAO_SCHEMA: &str = "notification_kakao";

#[derive(Default)]
pub(crate) struct People {
    pub(crate) customers: HashMap<String, Customer>,
    pub(crate) notifications: HashMap<String, Notification>,
    /// Messages by the ID of the notification.
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
    /// The personal data: no other context may contain it.
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

/// A message in the ledger of the simulated Kakao.
pub(crate) struct Message {
    pub(crate) state: String,
}

engine::record! {
    Message in "messages" { state }
}

impl People {
    /// Reads the databases that exist, downstream contexts first.
    pub(crate) async fn read(topology: &Topology) -> anyhow::Result<Self> {
        let has = |context: &str| topology.databases.contains_key(context);
        let mut people = Self::default();
        if has("notification") {
            people.messages = by_id(&topology.database("notification", KAKAO_SCHEMA)?).await?;
            people.notifications = by_id(&topology.database("notification", "notification")?).await?;
        }
        if has("customer") {
            people.customers = by_id(&topology.database("customer", "customer")?).await?;
        }
        Ok(people)
    }
}
