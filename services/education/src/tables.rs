//! How registrations are stored.

use contracts::role;
use engine::{Owner, Stored};

use crate::domain::Registration;

engine::record! {
    Registration(id: String) in "registrations" {
        learner,
        course,
        state,
        create_time,
        update_time,
    }
}

impl Stored for Registration {
    /// Owned by its learner, and by the educator of its course.
    const OWNERS: &'static [Owner<Self>] = &[
        Owner::by(role::LEARNER, "learner", |registration| &registration.learner),
        Owner::by(role::EDUCATOR, "course", |registration| &registration.course),
    ];
}
