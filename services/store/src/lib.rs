//! The store context: the tickets that stores cook for delivery orders.
//!
//! A ticket is opened when a delivery order is placed, and has that order's id. The store advances it step by step; a
//! cancelled order cancels it:
//!
//! ```text
//!         accept          startCooking        finishCooking
//! OPEN ────────▶ ACCEPTED ──────────▶ COOKING ───────────▶ COOKED
//!  │ │              │                    │                   │
//!  │ │ reject       └──────────┬─────────┴───────────────────┘
//!  │ ▼                         │ the order was cancelled
//!  │ REJECTED                  ▼
//!  └──────────────────────▶ CANCELLED
//! ```

mod domain;
mod grpc;
mod policy;
pub mod reasons;
mod tables;

use contracts::store::v1::store_service_server::StoreServiceServer;
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use rpc::MAX_REQUEST_BYTES;
use runtime::{Context, ContextBuilder};

pub use domain::{Item, State, Ticket};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");

/// Describes the context for the runtime.
pub fn context() -> Context {
    Context { name: "store", calls: &[], databases: vec![("store", MIGRATIONS)], reasons: reasons::ALL, build }
}

fn build(context: &mut ContextBuilder<'_>) -> anyhow::Result<()> {
    let tickets = context.engine()?;
    let api = grpc::StoreApi { tickets: tickets.clone() };
    context.serve(StoreServiceServer::new(api).max_decoding_message_size(MAX_REQUEST_BYTES));
    context.subscribe("order", &tickets, &policy::on_order_event(context.clock()));
    Ok(())
}
