//! How deliveries are stored.

use contracts::role;
use engine::{Owner, Stored};

use crate::domain::Delivery;

engine::record! {
    Delivery(id: String) in "deliveries" {
        store,
        rider,
        state,
        ready,
        create_time,
        update_time,
    }
}

impl Stored for Delivery {
    /// Owned by its rider; visible to every rider until one starts.
    const OWNERS: &'static [Owner<Self>] = &[Owner::by_or_unassigned(role::RIDER, "rider", |delivery| &delivery.rider)];
}
