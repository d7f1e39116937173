//! How stock is stored.

use contracts::role;
use engine::{Owner, Stored};

use crate::domain::StockItem;

engine::record! {
    StockItem(id: String) in "stock_items" {
        // For the filter of lists; it follows from the id.
        [item = StockItem::item]
        quantity,
        create_time,
        update_time,
    }
}

impl Stored for StockItem {
    /// There is one warehouse; its staff may see all items.
    const OWNERS: &'static [Owner<Self>] = &[Owner::all(role::WAREHOUSE)];
}
