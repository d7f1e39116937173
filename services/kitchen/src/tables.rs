//! How productions are stored.

use kit::{
    Owner, Role, StateName, Stored, json_column,
    storage::{Column, Row, StorageError, Table, Value},
};

use crate::domain::Production;

impl Stored for Production {
    const TABLE: Table = Table {
        name: "productions",
        columns: &[
            Column::text("store"),
            Column::text("lines"),
            Column::text("state"),
            Column::text("missing"),
            Column::int("owes"),
            Column::int("create_time"),
            Column::int("update_time"),
        ],
    };

    /// Owned by the store whose kitchen it is.
    const OWNERS: &'static [Owner<Self>] = &[Owner::by(Role::Kitchen, "store", |production| &production.store)];

    fn to_row(&self) -> Vec<Value<'_>> {
        vec![
            self.store.as_str().into(),
            json_column(&self.lines),
            self.state.name().into(),
            self.missing.as_str().into(),
            i64::from(self.owes).into(),
            self.create_time.0.into(),
            self.update_time.0.into(),
        ]
    }

    fn from_row(id: String, row: &mut Row) -> Result<Self, StorageError> {
        Ok(Self {
            id,
            store: row.text()?,
            lines: row.json()?,
            state: row.state()?,
            missing: row.text()?,
            owes: row.int()? != 0,
            create_time: row.time()?,
            update_time: row.time()?,
        })
    }
}
