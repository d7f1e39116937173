//! How customers are stored.

use contracts::role;
use engine::{Owner, Stored};

use crate::domain::Customer;

engine::record! {
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
    /// Owned by its account.
    const OWNERS: &'static [Owner<Self>] = &[Owner::by(role::CUSTOMER, "account", |customer| &customer.account)];
}
