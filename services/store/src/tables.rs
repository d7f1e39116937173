//! How tickets are stored.

use contracts::role;
use engine::{Owner, Stored};

use crate::domain::Ticket;

engine::record! {
    Ticket(id: String) in "tickets" {
        store,
        items as json,
        state,
        create_time,
        update_time,
    }
}

impl Stored for Ticket {
    /// Owned by its store.
    const OWNERS: &'static [Owner<Self>] = &[Owner::by(role::STORE, "store", |ticket| &ticket.store)];
}
