//! How stock is stored.

use kit::{
    Owner, Role, Stored,
    storage::{Column, Row, StorageError, Table, Value},
};

use crate::domain::StockItem;

impl Stored for StockItem {
    const TABLE: Table = Table {
        name: "stock_items",
        columns: &[
            Column::text("item"),
            Column::int("quantity"),
            Column::int("create_time"),
            Column::int("update_time"),
        ],
    };

    /// There is one warehouse, and whoever works there looks after all of it.
    const OWNERS: &'static [Owner<Self>] = &[Owner::all(Role::Warehouse)];

    fn to_row(&self) -> Vec<Value<'_>> {
        vec![self.item().into(), self.quantity.into(), self.create_time.0.into(), self.update_time.0.into()]
    }

    fn from_row(id: String, row: &mut Row) -> Result<Self, StorageError> {
        // For lists that are narrowed by it; it follows from the id.
        row.text()?;
        Ok(Self { id, quantity: row.int()?, create_time: row.time()?, update_time: row.time()? })
    }
}
