//! How views are stored.

use contracts::role;
use engine::{Owner, Stored};

use crate::{domain::OrderView, enrollment::EnrollmentView, registration::CustomerView};

engine::record! {
    OrderView(id: String) in "order_views" {
        customer,
        store,
        items as json,
        total as ("currency", "total"),
        state,
        payment_state,
        rider,
        history as json,
        create_time,
        update_time,
    }
}

impl Stored for OrderView {
    /// Owned by the order's customer.
    const OWNERS: &'static [Owner<Self>] = &[Owner::by(role::CUSTOMER, "customer", |view| &view.customer)];
}

engine::record! {
    EnrollmentView(id: String) in "enrollment_views" {
        learner,
        course,
        course_title,
        fee as ("currency", "fee"),
        state,
        payment_state,
        registration_state,
        history as json,
        create_time,
        update_time,
    }
}

impl Stored for EnrollmentView {
    /// Owned by the enrollment's learner.
    const OWNERS: &'static [Owner<Self>] = &[Owner::by(role::LEARNER, "learner", |view| &view.learner)];
}

engine::record! {
    CustomerView(id: String) in "customer_views" {
        account,
        state,
        history as json,
        create_time,
        update_time,
    }
}

impl Stored for CustomerView {
    /// Owned by its account.
    const OWNERS: &'static [Owner<Self>] = &[Owner::by(role::CUSTOMER, "account", |view| &view.account)];
}
