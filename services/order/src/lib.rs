//! The order context: what a customer asked for, and whether it stands.
//!
//! An order that is not paid never stands. It is written down as PENDING before payment is asked, so whatever happens
//! to the question, the answer or the process, the recovery finds it and brings it to an end:
//!
//! ```text
//!            authorized                    accepted      cooking     cooked    picked up    handed over
//! PENDING ───────────────▶ PLACED ──────▶ ACCEPTED ──▶ COOKING ──▶ READY ──▶ PICKED_UP ──▶ COMPLETED
//!  │    │                    │               │
//!  │    │ declined           └───────┬───────┘ by the customer, or rejected by the store
//!  │    ▼                            ▼
//!  │  REJECTED ◀── voided        CANCELLED
//!  │                 │
//!  └──▶ VOIDING ─────┘  payment's answer was never learnt
//! ```
//!
//! What is fetched at the counter is made by the kitchen instead, which also says whether it can still be cancelled:
//!
//! ```text
//!           stock is taken           made
//! PLACED ──────────────────▶ PRODUCING ──▶ COMPLETED
//!  │  │ not enough    ▲          │
//!  │  ▼               │          ▼ given up by the kitchen
//!  │ OUT_OF_STOCK ────┘      CANCELLED
//!  └──┴──▶ CANCELLED, when the kitchen agrees
//! ```

mod cancelling;
mod domain;
mod grpc;
mod policy;
pub mod reasons;
mod tables;

use contracts::{
    kitchen::v1::kitchen_service_client::KitchenServiceClient, order::v1::order_service_server::OrderServiceServer,
};
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use payment_saga::PaymentSaga;
use rpc::MAX_REQUEST_BYTES;
use runtime::{Context, ContextBuilder};

pub use domain::{Item, Order, State};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");

/// The context, for the list.
pub fn context() -> Context {
    Context {
        name: "order",
        calls: &[payment_saga::CALLS],
        databases: vec![("order", MIGRATIONS)],
        reasons: reasons::ALL,
        build,
    }
}

fn build(unit: &mut ContextBuilder<'_>) -> anyhow::Result<()> {
    let orders = unit.engine()?;
    let payment_saga = PaymentSaga::new(unit, &orders)?;
    // Where nobody said where the kitchen is, no order for the counter can be cancelled, and everything else can.
    let kitchen = unit.channel_if_known("kitchen")?.map(KitchenServiceClient::new);
    let cancelling = cancelling::Cancelling { orders: orders.clone(), kitchen };
    let api = grpc::OrderApi { orders: orders.clone(), payment_saga, cancelling };
    unit.serve(OrderServiceServer::new(api).max_decoding_message_size(MAX_REQUEST_BYTES));
    unit.subscribe("store", &orders, &policy::on_ticket_event(unit.clock()));
    unit.subscribe("delivery", &orders, &policy::on_delivery_event(unit.clock()));
    unit.subscribe("kitchen", &orders, &policy::on_production_event(unit.clock()));
    Ok(())
}
