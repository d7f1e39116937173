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
    /// No owner: customers see their payments in their orders.
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
    /// No owner: this is the provider's ledger.
    const OWNERS: &'static [Owner<Self>] = &[];
}
