//! What the snapshot holds about people: who is registered, and what they were told.

use std::collections::HashMap;

use kit::{Places, Time, storage::Database};

use super::snapshot::rows;

/// The simulated Kakao's ledger, in a database of its own beside notification's.
const KAKAO_SCHEMA: &str = "notification_kakao";

#[derive(Default)]
pub(crate) struct People {
    pub(crate) customers: HashMap<String, Customer>,
    pub(crate) notifications: HashMap<String, Notification>,
    /// The state of each message, by the simulated Kakao's own ledger and the notification's id.
    pub(crate) messages: HashMap<String, String>,
}

pub(crate) struct Customer {
    pub(crate) state: String,
    pub(crate) update_time: Time,
    /// What nobody else needs: name, phone and address.
    pub(crate) personal: [String; 3],
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

impl People {
    /// Reads what there is, downstream first.
    pub(crate) async fn read(places: &Places) -> anyhow::Result<Self> {
        let has = |context: &str| places.databases.contains_key(context);
        let mut people = Self::default();
        if has("notification") {
            people.messages = read_messages(&places.database("notification", KAKAO_SCHEMA)?).await?;
            people.notifications = read_notifications(&places.database("notification", "notification")?).await?;
        }
        if has("customer") {
            people.customers = read_customers(&places.database("customer", "customer")?).await?;
        }
        Ok(people)
    }
}

async fn read_customers(database: &Database) -> anyhow::Result<HashMap<String, Customer>> {
    let sql = "SELECT id, state, update_time, display_name, phone, address FROM customers";
    let customers = rows(database, sql.to_owned(), |row| {
        let id = row.text()?;
        let (state, update_time) = (row.text()?, row.time()?);
        Ok((id, Customer { state, update_time, personal: [row.text()?, row.text()?, row.text()?] }))
    });
    Ok(customers.await?.into_iter().collect())
}

async fn read_notifications(database: &Database) -> anyhow::Result<HashMap<String, Notification>> {
    let sql = "SELECT id, recipient, channel, about, occasion, is_awaited, state, update_time FROM notifications";
    let notifications = rows(database, sql.to_owned(), |row| {
        let id = row.text()?;
        Ok((
            id,
            Notification {
                recipient: row.text()?,
                channel: row.text()?,
                about: row.text()?,
                occasion: row.text()?,
                is_awaited: row.int()? != 0,
                state: row.text()?,
                update_time: row.time()?,
            },
        ))
    });
    Ok(notifications.await?.into_iter().collect())
}

async fn read_messages(database: &Database) -> anyhow::Result<HashMap<String, String>> {
    let messages = rows(database, "SELECT id, state FROM messages".to_owned(), |row| Ok((row.text()?, row.text()?)));
    Ok(messages.await?.into_iter().collect())
}
