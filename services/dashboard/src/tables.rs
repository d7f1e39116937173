//! How views are stored.

use kit::{
    Money, Owner, Role, StateName, Stored, json_column,
    storage::{Column, Row, StorageError, Table, Value},
};

use crate::{
    domain::{OrderView, State},
    enrollment::{EnrollmentState, EnrollmentView},
    registration::{CustomerState, CustomerView},
};

impl Stored for OrderView {
    const TABLE: Table = Table {
        name: "order_views",
        columns: &[
            Column::text("customer"),
            Column::text("store"),
            Column::text("items"),
            Column::text("currency"),
            Column::int("total"),
            Column::text("state"),
            Column::text("payment_state"),
            Column::text("rider"),
            Column::text("history"),
            Column::int("create_time"),
            Column::int("update_time"),
        ],
    };

    /// Owned by the order's customer.
    const OWNERS: &'static [Owner<Self>] = &[Owner::by(Role::Customer, "customer", |view| &view.customer)];

    fn to_row(&self) -> Vec<Value<'_>> {
        vec![
            self.customer.as_str().into(),
            self.store.as_str().into(),
            json_column(&self.items),
            self.total.map(Money::currency).into(),
            self.total.map(Money::minor).into(),
            self.state.map(StateName::name).into(),
            self.payment_state.as_str().into(),
            self.rider.as_str().into(),
            json_column(&self.history),
            self.create_time.0.into(),
            self.update_time.0.into(),
        ]
    }

    fn from_row(id: String, row: &mut Row) -> Result<Self, StorageError> {
        Ok(Self {
            id,
            customer: row.text()?,
            store: row.text()?,
            items: row.json()?,
            total: row.optional_money()?,
            state: row.optional_text()?.map(|name| State::of_name(&name)).transpose()?,
            payment_state: row.text()?,
            rider: row.text()?,
            history: row.json()?,
            create_time: row.time()?,
            update_time: row.time()?,
        })
    }
}

impl Stored for EnrollmentView {
    const TABLE: Table = Table {
        name: "enrollment_views",
        columns: &[
            Column::text("learner"),
            Column::text("course"),
            Column::text("course_title"),
            Column::text("currency"),
            Column::int("fee"),
            Column::text("state"),
            Column::text("payment_state"),
            Column::text("registration_state"),
            Column::text("history"),
            Column::int("create_time"),
            Column::int("update_time"),
        ],
    };

    /// Owned by the enrollment's learner.
    const OWNERS: &'static [Owner<Self>] = &[Owner::by(Role::Learner, "learner", |view| &view.learner)];

    fn to_row(&self) -> Vec<Value<'_>> {
        vec![
            self.learner.as_str().into(),
            self.course.as_str().into(),
            self.course_title.as_str().into(),
            self.fee.map(Money::currency).into(),
            self.fee.map(Money::minor).into(),
            self.state.map(StateName::name).into(),
            self.payment_state.as_str().into(),
            self.registration_state.as_str().into(),
            json_column(&self.history),
            self.create_time.0.into(),
            self.update_time.0.into(),
        ]
    }

    fn from_row(id: String, row: &mut Row) -> Result<Self, StorageError> {
        Ok(Self {
            id,
            learner: row.text()?,
            course: row.text()?,
            course_title: row.text()?,
            fee: row.optional_money()?,
            state: row.optional_text()?.map(|name| EnrollmentState::of_name(&name)).transpose()?,
            payment_state: row.text()?,
            registration_state: row.text()?,
            history: row.json()?,
            create_time: row.time()?,
            update_time: row.time()?,
        })
    }
}

impl Stored for CustomerView {
    const TABLE: Table = Table {
        name: "customer_views",
        columns: &[
            Column::text("account"),
            Column::text("state"),
            Column::text("history"),
            Column::int("create_time"),
            Column::int("update_time"),
        ],
    };

    /// Owned by whom it is about.
    const OWNERS: &'static [Owner<Self>] = &[Owner::by(Role::Customer, "account", |view| &view.account)];

    fn to_row(&self) -> Vec<Value<'_>> {
        vec![
            self.account.as_str().into(),
            self.state.map(StateName::name).into(),
            json_column(&self.history),
            self.create_time.0.into(),
            self.update_time.0.into(),
        ]
    }

    fn from_row(id: String, row: &mut Row) -> Result<Self, StorageError> {
        Ok(Self {
            id,
            account: row.text()?,
            state: row.optional_text()?.map(|name| CustomerState::of_name(&name)).transpose()?,
            history: row.json()?,
            create_time: row.time()?,
            update_time: row.time()?,
        })
    }
}
