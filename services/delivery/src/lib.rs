//! The delivery context: riders and what they carry.
//!
//! A delivery is scheduled when the store accepts a ticket, and has the order's id. A rider may set out while the food
//! is still being cooked, but picks up only what is ready. Once it is picked up, it goes to its end: the food is on the
//! road, and nobody calls it back.
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

/// The context, for the list.
pub fn context() -> Context {
    Context { name: "delivery", calls: &[], databases: vec![("delivery", MIGRATIONS)], reasons: reasons::ALL, build }
}

fn build(unit: &mut ContextBuilder<'_>) -> anyhow::Result<()> {
    let deliveries = unit.engine()?;
    let api = grpc::DeliveryApi { deliveries: deliveries.clone() };
    unit.serve(DeliveryServiceServer::new(api).max_decoding_message_size(MAX_REQUEST_BYTES));
    unit.subscribe("store", &deliveries, &policy::on_ticket_event(unit.clock()));
    Ok(())
}
