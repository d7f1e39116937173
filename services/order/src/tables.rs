//! How orders are stored.

use kit::{
    LateIndex, Owner, Role, StateName, Stored, json_column,
    storage::{Column, Row, StorageError, Table, Value},
};

use crate::domain::Order;

impl Stored for Order {
    const TABLE: Table = Table {
        name: "orders",
        columns: &[
            Column::text("customer"),
            Column::text("store"),
            Column::text("items"),
            Column::text("currency"),
            Column::int("total"),
            Column::text("fulfillment"),
            Column::text("payment_method"),
            Column::text("state"),
            Column::text("state_reason"),
            Column::text("payment"),
            Column::int("create_time"),
            Column::int("placed_time"),
            Column::int("update_time"),
        ],
    };

    /// Owned by its customer.
    const OWNERS: &'static [Owner<Self>] = &[Owner::by(Role::Customer, "customer", |order| &order.customer)];

    const LATE_INDEX: Option<LateIndex> = Some(LateIndex { name: "orders_by_customer", column: "customer" });

    fn to_row(&self) -> Vec<Value<'_>> {
        vec![
            self.customer.as_str().into(),
            self.store.as_str().into(),
            json_column(&self.items),
            self.total.currency().into(),
            self.total.minor().into(),
            self.fulfillment.as_str().into(),
            self.payment_method.as_str().into(),
            self.state.name().into(),
            self.state_reason.as_str().into(),
            self.payment.as_str().into(),
            self.create_time.0.into(),
            self.placed_time.map(|time| time.0).into(),
            self.update_time.0.into(),
        ]
    }

    fn from_row(id: String, row: &mut Row) -> Result<Self, StorageError> {
        Ok(Self {
            id,
            customer: row.text()?,
            store: row.text()?,
            items: row.json()?,
            total: row.money()?,
            fulfillment: row.text()?,
            payment_method: row.text()?,
            state: row.state()?,
            state_reason: row.text()?,
            payment: row.text()?,
            create_time: row.time()?,
            placed_time: row.optional_int()?.map(kit::Time),
            update_time: row.time()?,
        })
    }
}
