//! The delivery context: the deliveries of orders by riders.
//!
//! A delivery is scheduled when the store accepts a ticket, and has the order's id. A rider may set out while the food
//! is still being cooked, but can pick it up only when it is ready. After that it can no longer be cancelled.
//!
//! ```text
//!           start          pickUp, when ready           complete
//! SCHEDULED ─────▶ STARTED ──────────────────▶ PICKED_UP ────────▶ COMPLETED
//!     │               │
//!     └───────┬───────┘ the ticket was cancelled
//!             ▼
//!         CANCELLED
//! ```

mod domain;
mod grpc;
mod policy;
pub mod reasons;
mod tables;

use contracts::delivery::v1::delivery_service_server::DeliveryServiceServer;
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use rpc::MAX_REQUEST_BYTES;
use runtime::{Context, ContextBuilder};

pub use domain::{Delivery, State};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");

/// Describes the context for the runtime.
pub fn context() -> Context {
    Context { name: "delivery", calls: &[], databases: vec![("delivery", MIGRATIONS)], reasons: reasons::ALL, build }
}

fn build(context: &mut ContextBuilder<'_>) -> anyhow::Result<()> {
    let deliveries = context.engine()?;
    let api = grpc::DeliveryApi { deliveries: deliveries.clone() };
    context.serve(DeliveryServiceServer::new(api).max_decoding_message_size(MAX_REQUEST_BYTES));
    context.subscribe("store", &deliveries, &policy::on_ticket_event(context.clock()));
    Ok(())
}
