//! The kitchen context: the productions of counter orders.
//!
//! A production is opened when a counter order is placed, and has that order's id. It is recorded before the warehouse
//! is called, so the recovery repeats the call when the call, the answer or the process is lost; each product is
//! reserved once. One production makes all products of an order: it starts when all of them are reserved, and can be
//! cancelled as a whole until then. While it waits for one product, it keeps those that it has reserved.
//!
//! ```text
//!          all stock reserved              complete
//! TAKING ─────────────────────▶ STARTED ───────────▶ COMPLETED
//!  │  │ not enough     ▲           │
//!  │  ▼                │           │ fail
//!  │ OUT_OF_STOCK ─────┘           ▼
//!  │     │       restocked      FAILED      both release their stock, and nothing is
//!  └──┬──┘                                  reserved afterwards (the warehouse's tombstone)
//!     ▼ cancel
//!  CANCELLED   (also before it is opened: then it is never opened)
//! ```

mod domain;
mod grpc;
mod policy;
pub mod reasons;
mod stock_saga;
mod tables;

use contracts::{
    kitchen::v1::kitchen_service_server::KitchenServiceServer,
    warehouse::v1::warehouse_service_client::WarehouseServiceClient,
};
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use rpc::MAX_REQUEST_BYTES;
use runtime::{Context, ContextBuilder};
use saga::RECOVERY_INTERVAL;

pub use domain::{Line, Production, State};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");

/// Describes the context for the runtime.
pub fn context() -> Context {
    Context {
        name: "kitchen",
        calls: &["warehouse"],
        databases: vec![("kitchen", MIGRATIONS)],
        reasons: reasons::ALL,
        build,
    }
}

fn build(context: &mut ContextBuilder<'_>) -> anyhow::Result<()> {
    let productions = context.engine()?;
    let warehouse = WarehouseServiceClient::new(context.channel("warehouse")?);
    let stock_saga = stock_saga::StockSaga::new(&productions, warehouse);
    let api = grpc::KitchenApi { productions: productions.clone() };
    context.serve(KitchenServiceServer::new(api).max_decoding_message_size(MAX_REQUEST_BYTES));
    context.subscribe("order", &productions, &policy::on_order_event(stock_saga.clone()));
    context.subscribe("warehouse", &productions, &policy::on_stock_event(stock_saga.clone()));
    context.every(RECOVERY_INTERVAL, "kitchen-recovery", move || {
        let stock_saga = stock_saga.clone();
        async move { stock_saga.recover().await }
    });
    Ok(())
}
