//! How tickets are stored.

use kit::{
    Owner, Role, StateName, Stored, json_column,
    storage::{Column, Row, StorageError, Table, Value},
};

use crate::domain::Ticket;

impl Stored for Ticket {
    const TABLE: Table = Table {
        name: "tickets",
        columns: &[
            Column::text("store"),
            Column::text("items"),
            Column::text("state"),
            Column::int("create_time"),
            Column::int("update_time"),
        ],
    };

    /// Owned by its store.
    const OWNERS: &'static [Owner<Self>] = &[Owner::by(Role::Store, "store", |ticket| &ticket.store)];

    fn to_row(&self) -> Vec<Value<'_>> {
        vec![
            self.store.as_str().into(),
            json_column(&self.items),
            self.state.name().into(),
            self.create_time.0.into(),
            self.update_time.0.into(),
        ]
    }

    fn from_row(id: String, row: &mut Row) -> Result<Self, StorageError> {
        Ok(Self {
            id,
            store: row.text()?,
            items: row.json()?,
            state: row.state()?,
            create_time: row.time()?,
            update_time: row.time()?,
        })
    }
}
