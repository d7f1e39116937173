//! How tickets are stored.

use kit::{Owner, Role, Stored};

use crate::domain::Ticket;

kit::record! {
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
    const OWNERS: &'static [Owner<Self>] = &[Owner::by(Role::Store, "store", |ticket| &ticket.store)];
}
