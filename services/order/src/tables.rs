//! How orders are stored.

use contracts::role;
use engine::{DeferredIndex, Owner, Stored};

use crate::domain::Order;

engine::record! {
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
    const OWNERS: &'static [Owner<Self>] = &[Owner::by(role::CUSTOMER, "customer", |order| &order.customer)];

    const DEFERRED_INDEX: Option<DeferredIndex> =
        Some(DeferredIndex { name: "orders_by_customer", column: "customer" });
}
