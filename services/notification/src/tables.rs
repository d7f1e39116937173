//! How notifications, their subscribers, and the simulated Kakao's messages are stored.

use kit::{
    Owner, Role, StateName, Stored,
    storage::{Column, Row, StorageError, Table, Value},
};

use crate::{channels::Message, domain::Notification, subscriber::Subscriber};

impl Stored for Notification {
    const TABLE: Table = Table {
        name: "notifications",
        columns: &[
            Column::text("recipient"),
            Column::text("channel"),
            Column::text("text"),
            Column::text("about"),
            Column::text("occasion"),
            Column::int("is_awaited"),
            Column::text("fingerprint"),
            Column::text("state"),
            Column::text("state_reason"),
            Column::int("attempts"),
            Column::int("next_attempt_time"),
            Column::int("create_time"),
            Column::int("update_time"),
        ],
    };

    /// Owned by whom it tells something.
    const OWNERS: &'static [Owner<Self>] =
        &[Owner::by(Role::Customer, "recipient", |notification| &notification.recipient)];

    fn to_row(&self) -> Vec<Value<'_>> {
        vec![
            self.recipient.as_str().into(),
            self.channel.name().into(),
            self.text.as_str().into(),
            self.about.as_str().into(),
            self.occasion.as_str().into(),
            i64::from(self.is_awaited).into(),
            self.fingerprint.as_str().into(),
            self.state.name().into(),
            self.state_reason.as_str().into(),
            self.attempts.into(),
            self.next_attempt_time.0.into(),
            self.create_time.0.into(),
            self.update_time.0.into(),
        ]
    }

    fn from_row(id: String, row: &mut Row) -> Result<Self, StorageError> {
        Ok(Self {
            id,
            recipient: row.text()?,
            channel: row.state()?,
            text: row.text()?,
            about: row.text()?,
            occasion: row.text()?,
            is_awaited: row.int()? != 0,
            fingerprint: row.text()?,
            state: row.state()?,
            state_reason: row.text()?,
            attempts: row.int()?,
            next_attempt_time: row.time()?,
            create_time: row.time()?,
            update_time: row.time()?,
        })
    }
}

impl Stored for Subscriber {
    const TABLE: Table = Table {
        name: "subscribers",
        columns: &[Column::text("account"), Column::int("is_listening"), Column::int("heard")],
    };

    /// Nobody's: it is asked for by no call.
    const OWNERS: &'static [Owner<Self>] = &[];

    fn to_row(&self) -> Vec<Value<'_>> {
        vec![self.account.as_str().into(), i64::from(self.is_listening).into(), self.heard.into()]
    }

    fn from_row(id: String, row: &mut Row) -> Result<Self, StorageError> {
        Ok(Self { id, account: row.text()?, is_listening: row.int()? != 0, heard: row.int()? })
    }
}

impl Stored for Message {
    const TABLE: Table = Table {
        name: "messages",
        columns: &[Column::text("recipient"), Column::text("text"), Column::text("state"), Column::int("create_time")],
    };

    /// Owned by whose phone it is on.
    const OWNERS: &'static [Owner<Self>] = &[Owner::by(Role::Customer, "recipient", |message| &message.recipient)];

    fn to_row(&self) -> Vec<Value<'_>> {
        vec![
            self.recipient.as_str().into(),
            self.text.as_str().into(),
            self.state.name().into(),
            self.create_time.0.into(),
        ]
    }

    fn from_row(id: String, row: &mut Row) -> Result<Self, StorageError> {
        Ok(Self { id, recipient: row.text()?, text: row.text()?, state: row.state()?, create_time: row.time()? })
    }
}
