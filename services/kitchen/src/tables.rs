//! How productions are stored.

use contracts::role;
use engine::{Owner, Stored};

use crate::domain::Production;

engine::record! {
    Production(id: String) in "productions" {
        store,
        lines as json,
        state,
        missing,
        release_pending as ("owes"),
        create_time,
        update_time,
    }
}

impl Stored for Production {
    /// Owned by the store whose kitchen it is.
    const OWNERS: &'static [Owner<Self>] = &[Owner::by(role::KITCHEN, "store", |production| &production.store)];
}
