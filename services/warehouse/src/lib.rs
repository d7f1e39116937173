//! The warehouse context: what is in stock, and who took it.
//!
//! An item of stock is one number. It goes down when a production takes of it, and up when stock is added or given back:
//!
//! ```text
//!            restock, release
//!          ┌────────▶────────┐
//! (created)│     quantity    │ reduce: all that is asked for, or nothing
//!          └────────◀────────┘
//! ```
//!
//! Many productions want the same item, so nothing about them is kept in it: the item stays one small row however many
//! took of it, and a batch of reductions of one item is one update. That a production takes of an item once, and gives back
//! once, is remembered with the requests, in the same transaction (`engine::RequestKey::once`). Those memories are never
//! dropped while the production may still ask: dropping one would let it take twice.

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

/// The context, for the list.
pub fn context() -> Context {
    Context { name: "warehouse", calls: &[], databases: vec![("warehouse", MIGRATIONS)], reasons: reasons::ALL, build }
}

fn build(unit: &mut ContextBuilder<'_>) -> anyhow::Result<()> {
    let api = grpc::WarehouseApi { items: unit.engine()? };
    unit.serve(WarehouseServiceServer::new(api).max_decoding_message_size(MAX_REQUEST_BYTES));
    Ok(())
}
