//! How customers are stored.

use kit::{Owner, Role, Stored};

use crate::domain::Customer;

kit::record! {
    Customer(id: String) in "customers" {
        account,
        display_name,
        address,
        age,
        phone,
        notifies_order_changes,
        state,
        state_reason,
        create_time,
        registered_time,
        update_time,
    }
}

impl Stored for Customer {
    /// Owned by whom it is about.
    const OWNERS: &'static [Owner<Self>] = &[Owner::by(Role::Customer, "account", |customer| &customer.account)];
}
