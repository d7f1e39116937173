//! The store context: the tickets that its kitchens work through.
//!
//! A ticket is opened by a placed order that a rider is to bring, and has that order's id. The store decides what
//! becomes of it, step by step; the order decides whether it is wanted at all:
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

/// The context, for the list.
pub fn context() -> Context {
    Context { name: "store", calls: &[], databases: vec![("store", MIGRATIONS)], reasons: reasons::ALL, build }
}

fn build(unit: &mut ContextBuilder<'_>) -> anyhow::Result<()> {
    let tickets = unit.engine()?;
    let api = grpc::StoreApi { tickets: tickets.clone() };
    unit.serve(StoreServiceServer::new(api).max_decoding_message_size(MAX_REQUEST_BYTES));
    unit.subscribe("order", &tickets, &policy::on_order_event(unit.clock()));
    Ok(())
}
