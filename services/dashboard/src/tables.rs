//! How views are stored.

use kit::{Owner, Role, Stored};

use crate::{domain::OrderView, enrollment::EnrollmentView, registration::CustomerView};

kit::record! {
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
    const OWNERS: &'static [Owner<Self>] = &[Owner::by(Role::Customer, "customer", |view| &view.customer)];
}

kit::record! {
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
    const OWNERS: &'static [Owner<Self>] = &[Owner::by(Role::Learner, "learner", |view| &view.learner)];
}

kit::record! {
    CustomerView(id: String) in "customer_views" {
        account,
        state,
        history as json,
        create_time,
        update_time,
    }
}

impl Stored for CustomerView {
    /// Owned by whom it is about.
    const OWNERS: &'static [Owner<Self>] = &[Owner::by(Role::Customer, "account", |view| &view.account)];
}
