//! How orders are stored.

use kit::{LateIndex, Owner, Role, Stored};

use crate::domain::Order;

kit::record! {
    Order(id: String) in "orders" {
        customer,
        store,
        items as json,
        total as ("currency", "total"),
        fulfillment,
        payment_method,
        state,
        state_reason,
        payment,
        create_time,
        placed_time,
        update_time,
    }
}

impl Stored for Order {
    /// Owned by its customer.
    const OWNERS: &'static [Owner<Self>] = &[Owner::by(Role::Customer, "customer", |order| &order.customer)];

    const LATE_INDEX: Option<LateIndex> = Some(LateIndex { name: "orders_by_customer", column: "customer" });
}
