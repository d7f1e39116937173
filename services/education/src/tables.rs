//! How registrations are stored.

use kit::{Owner, Role, Stored};

use crate::domain::Registration;

kit::record! {
    Registration(id: String) in "registrations" {
        learner,
        course,
        state,
        create_time,
        update_time,
    }
}

impl Stored for Registration {
    /// Owned by its learner, and by whoever gives the course.
    const OWNERS: &'static [Owner<Self>] = &[
        Owner::by(Role::Learner, "learner", |registration| &registration.learner),
        Owner::by(Role::Educator, "course", |registration| &registration.course),
    ];
}
