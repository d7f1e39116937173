//! How enrollments are stored.

use kit::{Owner, Role, Stored};

use crate::domain::Enrollment;

kit::record! {
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
    const OWNERS: &'static [Owner<Self>] = &[Owner::by(Role::Learner, "learner", |enrollment| &enrollment.learner)];
}
