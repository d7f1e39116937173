//! The warehouse context: the quantities in stock.
//!
//! A stock item has one quantity. A production reduces it, and a restock or a release increases it:
//!
//! ```text
//!            restock, release
//!          ┌────────▶────────┐
//! (created)│     quantity    │ reduce: all that is requested, or nothing
//!          └────────◀────────┘
//! ```
//!
//! Many productions use the same item, so the item stores nothing about them: its row stays small, and a batch of
//! reductions of one item is one update. A production reserves an item once and releases it once. Both are recorded
//! with the requests, in the same transaction ([`engine::RequestKey::reservation`]). These records are never deleted
//! while the production may still ask, because a production without its record could reserve twice.

mod domain;
mod grpc;
pub mod reasons;
mod tables;

use contracts::warehouse::v1::warehouse_service_server::WarehouseServiceServer;
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use rpc::MAX_REQUEST_BYTES;
use runtime::{Context, ContextBuilder};

pub use domain::StockItem;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");

/// Describes the context for the runtime.
pub fn context() -> Context {
    Context { name: "warehouse", calls: &[], databases: vec![("warehouse", MIGRATIONS)], reasons: reasons::ALL, build }
}

fn build(context: &mut ContextBuilder<'_>) -> anyhow::Result<()> {
    let api = grpc::WarehouseApi { items: context.engine()? };
    context.serve(WarehouseServiceServer::new(api).max_decoding_message_size(MAX_REQUEST_BYTES));
    Ok(())
}
