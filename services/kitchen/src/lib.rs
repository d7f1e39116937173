//! The kitchen context: what is produced for the orders that customers fetch at the counter.
//!
//! A production is opened by a placed order, and has that order's id. It is written down before the warehouse is asked for
//! what it needs, so whatever happens to the question, the answer or the process, the recovery asks again; each product is
//! taken once. What an order asks for is one production, however many products it is: it starts when all of it is there,
//! and until then the order can be cancelled as a whole. What it has got it keeps while it waits for the rest.
//!
//! ```text
//!          all of it is taken              complete
//! TAKING ─────────────────────▶ STARTED ───────────▶ COMPLETED
//!  │  │ not enough     ▲           │
//!  │  ▼                │           │ fail
//!  │ OUT_OF_STOCK ─────┘           ▼
//!  │     │       restocked      FAILED      both give back what was taken, and nothing more is
//!  └──┬──┘                                  taken afterwards (the warehouse's tombstone)
//!     ▼ cancel
//!  CANCELLED   (also before it is opened: then it never is)
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

/// The context, for the list.
pub fn context() -> Context {
    Context {
        name: "kitchen",
        calls: &["warehouse"],
        databases: vec![("kitchen", MIGRATIONS)],
        reasons: reasons::ALL,
        build,
    }
}

fn build(unit: &mut ContextBuilder<'_>) -> anyhow::Result<()> {
    let productions = unit.engine()?;
    let warehouse = WarehouseServiceClient::new(unit.channel("warehouse")?);
    let stock_saga = stock_saga::StockSaga::new(&productions, warehouse);
    let api = grpc::KitchenApi { productions: productions.clone() };
    unit.serve(KitchenServiceServer::new(api).max_decoding_message_size(MAX_REQUEST_BYTES));
    unit.subscribe("order", &productions, &policy::on_order_event(stock_saga.clone()));
    unit.subscribe("warehouse", &productions, &policy::on_stock_event(stock_saga.clone()));
    unit.every(RECOVERY_INTERVAL, "kitchen-recovery", move || {
        let stock_saga = stock_saga.clone();
        async move { stock_saga.recover().await }
    });
    Ok(())
}
