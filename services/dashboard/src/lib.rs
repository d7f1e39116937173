//! The dashboard context: every order's, enrollment's and registration's whole course, folded from what the contexts announce.
//!
//! It asks nobody and announces nothing. Each context's events arrive in order, but one context's events overtake
//! another's: an authorization usually comes before the order that it pays for. So a view keeps its history sorted, and
//! everything else in it follows from the history. It depends on which events came, never on when they came:
//!
//! ```text
//! payment ──▶ PAYMENT_AUTHORIZED …  ┐                             ┌▶ state: the furthest, unless it was withdrawn
//! order ────▶ ORDER_PLACED …        ├▶ history, sorted by time ───┼▶ payment_state, rider: the latest
//! store ────▶ COOKING_STARTED …     │                             └▶ create_time, update_time
//! kitchen ──▶ PRODUCTION_STARTED …  │
//! delivery ─▶ DELIVERY_PICKED_UP …  ┘
//! ```
//!
//! Enrollments are folded in the same way, from the events of payment, enrollment and education, and the registrations of
//! customers from those of customer and notification. Each kind of view has a
//! database of its own, so they do not wait for each other.

mod domain;
mod enrollment;
mod event;
mod grpc;
mod history;
mod policy;
pub mod reasons;
mod registration;
mod tables;
mod view;

use contracts::dashboard::v1::dashboard_service_server::DashboardServiceServer;
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use engine::Engine;
use rpc::MAX_REQUEST_BYTES;
use runtime::{Context, ContextBuilder};

pub use domain::{Item, OrderView, State, Summary};
pub use enrollment::{Application, EnrollmentState, EnrollmentView};
pub use history::{Entry, MAX_HISTORY, Source};
pub use registration::{CustomerState, CustomerView};
pub use view::{Happening, View};

/// The schema of the enrollments' views.
pub const ENROLLMENT_SCHEMA: &str = "dashboard_enrollment";
/// The schema of the registrations' views.
pub const CUSTOMER_SCHEMA: &str = "dashboard_customer";

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");
const ENROLLMENT_MIGRATIONS: EmbeddedMigrations = embed_migrations!("enrollment_migrations");
const CUSTOMER_MIGRATIONS: EmbeddedMigrations = embed_migrations!("customer_migrations");

/// The context, for the list.
pub fn context() -> Context {
    Context {
        name: "dashboard",
        calls: &[],
        databases: vec![
            ("dashboard", MIGRATIONS),
            (ENROLLMENT_SCHEMA, ENROLLMENT_MIGRATIONS),
            (CUSTOMER_SCHEMA, CUSTOMER_MIGRATIONS),
        ],
        reasons: reasons::ALL,
        build,
    }
}

fn build(unit: &mut ContextBuilder<'_>) -> anyhow::Result<()> {
    let orders = unit.engine()?;
    let enrollments = unit.engine_in(ENROLLMENT_SCHEMA)?;
    let customers = unit.engine_in(CUSTOMER_SCHEMA)?;
    let api = grpc::DashboardApi::new(orders.clone(), enrollments.clone(), customers.clone());
    unit.serve(DashboardServiceServer::new(api).max_decoding_message_size(MAX_REQUEST_BYTES));
    hear(unit, &orders);
    hear(unit, &enrollments);
    hear(unit, &customers);
    Ok(())
}

fn hear<V: View>(unit: &mut ContextBuilder<'_>, views: &Engine<V>) {
    for source in V::SOURCES {
        unit.subscribe(source, views, &policy::on_event());
    }
}
