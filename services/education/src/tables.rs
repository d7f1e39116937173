//! How registrations are stored.

use kit::{
    Owner, Role, StateName, Stored,
    storage::{Column, Row, StorageError, Table, Value},
};

use crate::domain::Registration;

impl Stored for Registration {
    const TABLE: Table = Table {
        name: "registrations",
        columns: &[
            Column::text("learner"),
            Column::text("course"),
            Column::text("state"),
            Column::int("create_time"),
            Column::int("update_time"),
        ],
    };

    /// Owned by its learner, and by whoever gives the course.
    const OWNERS: &'static [Owner<Self>] = &[
        Owner::by(Role::Learner, "learner", |registration| &registration.learner),
        Owner::by(Role::Educator, "course", |registration| &registration.course),
    ];

    fn to_row(&self) -> Vec<Value<'_>> {
        vec![
            self.learner.as_str().into(),
            self.course.as_str().into(),
            self.state.name().into(),
            self.create_time.0.into(),
            self.update_time.0.into(),
        ]
    }

    fn from_row(id: String, row: &mut Row) -> Result<Self, StorageError> {
        Ok(Self {
            id,
            learner: row.text()?,
            course: row.text()?,
            state: row.state()?,
            create_time: row.time()?,
            update_time: row.time()?,
        })
    }
}
