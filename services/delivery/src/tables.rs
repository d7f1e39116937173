//! How deliveries are stored.

use kit::{
    Owner, Role, StateName, Stored,
    storage::{Column, Row, StorageError, Table, Value},
};

use crate::domain::Delivery;

impl Stored for Delivery {
    const TABLE: Table = Table {
        name: "deliveries",
        columns: &[
            Column::text("store"),
            Column::text("rider"),
            Column::text("state"),
            Column::int("ready"),
            Column::int("create_time"),
            Column::int("update_time"),
        ],
    };

    /// Owned by its rider; free to every rider until one starts.
    const OWNERS: &'static [Owner<Self>] = &[Owner::by_or_nobody(Role::Rider, "rider", |delivery| &delivery.rider)];

    fn to_row(&self) -> Vec<Value<'_>> {
        vec![
            self.store.as_str().into(),
            self.rider.as_str().into(),
            self.state.name().into(),
            i64::from(self.ready).into(),
            self.create_time.0.into(),
            self.update_time.0.into(),
        ]
    }

    fn from_row(id: String, row: &mut Row) -> Result<Self, StorageError> {
        Ok(Self {
            id,
            store: row.text()?,
            rider: row.text()?,
            state: row.state()?,
            ready: row.int()? != 0,
            create_time: row.time()?,
            update_time: row.time()?,
        })
    }
}
