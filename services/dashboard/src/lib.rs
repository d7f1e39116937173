//! The dashboard context: every order's whole course, folded from what the contexts announce.
//!
//! It asks nobody and announces nothing. Each context's events arrive in order, but one context's events overtake
//! another's: an authorization usually comes before the order that it pays for. So a view keeps its history sorted, and
//! everything else in it follows from the history. It depends on which events came, never on when they came:
//!
//! ```text
//! payment ──▶ PAYMENT_AUTHORIZED …  ┐                             ┌▶ state: the furthest, unless it was withdrawn
//! order ────▶ ORDER_PLACED …        ├▶ history, sorted by time ───┼▶ payment_state, rider: the latest
//! store ────▶ COOKING_STARTED …     │                             └▶ create_time, update_time
//! delivery ─▶ DELIVERY_PICKED_UP …  ┘
//! ```

mod domain;
mod event;
mod grpc;
mod policy;
pub mod reasons;
mod tables;

use contracts::dashboard::v1::dashboard_service_server::DashboardServiceServer;
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use kit::{Context, MAX_REQUEST_BYTES, Unit};

pub use domain::{Entry, Item, MAX_HISTORY, OrderView, Source, State};

/// The contexts whose events make a view; an order's view is the fold of their four histories.
pub const SOURCES: [&str; 4] = ["payment", "order", "store", "delivery"];

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");

/// The context, for the list.
pub fn context() -> Context {
    Context { name: "dashboard", calls: &[], databases: vec![("dashboard", MIGRATIONS)], reasons: reasons::ALL, build }
}

fn build(unit: &mut Unit<'_>) -> anyhow::Result<()> {
    let views = unit.engine()?;
    let api = grpc::DashboardApi::new(views.clone());
    unit.serve(DashboardServiceServer::new(api).max_decoding_message_size(MAX_REQUEST_BYTES));
    for source in SOURCES {
        unit.hear(source, &views, &policy::on_event());
    }
    Ok(())
}
