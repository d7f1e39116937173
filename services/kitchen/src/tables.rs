//! How productions are stored.

use kit::{Owner, Role, Stored};

use crate::domain::Production;

kit::record! {
    Production(id: String) in "productions" {
        store,
        lines as json,
        state,
        missing,
        owes,
        create_time,
        update_time,
    }
}

impl Stored for Production {
    /// Owned by the store whose kitchen it is.
    const OWNERS: &'static [Owner<Self>] = &[Owner::by(Role::Kitchen, "store", |production| &production.store)];
}
