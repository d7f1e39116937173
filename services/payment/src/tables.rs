//! How payments, and the simulated provider's charges, are stored.

use engine::{Owner, Stored};

use crate::{domain::Payment, provider::Charge};

engine::record! {
    Payment(id: String) in "payments" {
        payable,
        amount as ("currency", "amount"),
        payment_method,
        fingerprint,
        state,
        decline_reason,
        create_time,
        update_time,
    }
}

impl Stored for Payment {
    /// Nobody's: customers meet their payments in their orders.
    const OWNERS: &'static [Owner<Self>] = &[];
}

engine::record! {
    Charge(id: String) in "charges" {
        amount as ("currency", "amount"),
        state,
        decline_reason,
        create_time,
        update_time,
    }
}

impl Stored for Charge {
    /// Nobody's: these are the provider's own books.
    const OWNERS: &'static [Owner<Self>] = &[];
}
