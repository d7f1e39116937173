//! How stock is stored.

use kit::{Owner, Role, Stored};

use crate::domain::StockItem;

kit::record! {
    StockItem(id: String) in "stock_items" {
        // For lists that are narrowed by it; it follows from the id.
        [item = StockItem::item]
        quantity,
        create_time,
        update_time,
    }
}

impl Stored for StockItem {
    /// There is one warehouse, and whoever works there looks after all of it.
    const OWNERS: &'static [Owner<Self>] = &[Owner::all(Role::Warehouse)];
}
