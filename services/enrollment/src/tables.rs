//! How enrollments are stored.

use contracts::role;
use engine::{Owner, Stored};

use crate::domain::Enrollment;

engine::record! {
    Enrollment(id: String) in "enrollments" {
        learner,
        course,
        course_title,
        fee as ("currency", "fee"),
        payment_method,
        state,
        state_reason,
        payment,
        create_time,
        enrolled_time,
        update_time,
    }
}

impl Stored for Enrollment {
    /// Owned by its learner.
    const OWNERS: &'static [Owner<Self>] = &[Owner::by(role::LEARNER, "learner", |enrollment| &enrollment.learner)];
}
