//! How customers are stored.

use kit::{
    Owner, Role, StateName, Stored,
    storage::{Column, Row, StorageError, Table, Value},
};

use crate::domain::Customer;

impl Stored for Customer {
    const TABLE: Table = Table {
        name: "customers",
        columns: &[
            Column::text("account"),
            Column::text("display_name"),
            Column::text("address"),
            Column::int("age"),
            Column::text("phone"),
            Column::int("notifies_order_changes"),
            Column::text("state"),
            Column::text("state_reason"),
            Column::int("create_time"),
            Column::int("registered_time"),
            Column::int("update_time"),
        ],
    };

    /// Owned by whom it is about.
    const OWNERS: &'static [Owner<Self>] = &[Owner::by(Role::Customer, "account", |customer| &customer.account)];

    fn to_row(&self) -> Vec<Value<'_>> {
        vec![
            self.account.as_str().into(),
            self.display_name.as_str().into(),
            self.address.as_str().into(),
            i64::from(self.age).into(),
            self.phone.as_str().into(),
            i64::from(self.notifies_order_changes).into(),
            self.state.name().into(),
            self.state_reason.as_str().into(),
            self.create_time.0.into(),
            self.registered_time.map(|time| time.0).into(),
            self.update_time.0.into(),
        ]
    }

    fn from_row(id: String, row: &mut Row) -> Result<Self, StorageError> {
        Ok(Self {
            id,
            account: row.text()?,
            display_name: row.text()?,
            address: row.text()?,
            age: i32::try_from(row.int()?).map_err(|error| StorageError::Unreadable(error.to_string()))?,
            phone: row.text()?,
            notifies_order_changes: row.int()? != 0,
            state: row.state()?,
            state_reason: row.text()?,
            create_time: row.time()?,
            registered_time: row.optional_int()?.map(kit::Time),
            update_time: row.time()?,
        })
    }
}
