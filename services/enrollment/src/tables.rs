//! How enrollments are stored.

use kit::{
    Owner, Role, StateName, Stored,
    storage::{Column, Row, StorageError, Table, Value},
};

use crate::domain::Enrollment;

impl Stored for Enrollment {
    const TABLE: Table = Table {
        name: "enrollments",
        columns: &[
            Column::text("learner"),
            Column::text("course"),
            Column::text("course_title"),
            Column::text("currency"),
            Column::int("fee"),
            Column::text("payment_method"),
            Column::text("state"),
            Column::text("state_reason"),
            Column::text("payment"),
            Column::int("create_time"),
            Column::int("enrolled_time"),
            Column::int("update_time"),
        ],
    };

    /// Owned by its learner.
    const OWNERS: &'static [Owner<Self>] = &[Owner::by(Role::Learner, "learner", |enrollment| &enrollment.learner)];

    fn to_row(&self) -> Vec<Value<'_>> {
        vec![
            self.learner.as_str().into(),
            self.course.as_str().into(),
            self.course_title.as_str().into(),
            self.fee.currency().into(),
            self.fee.minor().into(),
            self.payment_method.as_str().into(),
            self.state.name().into(),
            self.state_reason.as_str().into(),
            self.payment.as_str().into(),
            self.create_time.0.into(),
            self.enrolled_time.map(|time| time.0).into(),
            self.update_time.0.into(),
        ]
    }

    fn from_row(id: String, row: &mut Row) -> Result<Self, StorageError> {
        Ok(Self {
            id,
            learner: row.text()?,
            course: row.text()?,
            course_title: row.text()?,
            fee: row.money()?,
            payment_method: row.text()?,
            state: row.state()?,
            state_reason: row.text()?,
            payment: row.text()?,
            create_time: row.time()?,
            enrolled_time: row.optional_int()?.map(kit::Time),
            update_time: row.time()?,
        })
    }
}
