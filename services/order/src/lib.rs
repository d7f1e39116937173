//! The order context: orders of customers at stores.
//!
//! An order is placed only when its payment is authorized. It is recorded as PENDING before payment is called, so the
//! recovery finds and finishes it when the call, the answer or the process is lost:
//!
//! ```text
//!            authorized                    accepted      cooking     cooked    picked up    handed over
//! PENDING ───────────────▶ PLACED ──────▶ ACCEPTED ──▶ COOKING ──▶ READY ──▶ PICKED_UP ──▶ COMPLETED
//!  │    │                    │               │
//!  │    │ declined           └───────┬───────┘ by the customer, or rejected by the store
//!  │    ▼                            ▼
//!  │  REJECTED ◀── voided        CANCELLED
//!  │                 │
//!  └──▶ VOIDING ─────┘  payment's answer is unknown
//! ```
//!
//! Counter orders are made by the kitchen instead, which also decides whether they can still be cancelled:
//!
//! ```text
//!           stock is reserved        made
//! PLACED ──────────────────▶ PRODUCING ──▶ COMPLETED
//!  │  │ not enough    ▲          │
//!  │  ▼               │          ▼ failed in the kitchen
//!  │ OUT_OF_STOCK ────┘      CANCELLED
//!  └──┴──▶ CANCELLED, when the kitchen agrees
//! ```

mod cancellation;
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

/// Describes the context for the runtime.
pub fn context() -> Context {
    Context {
        name: "order",
        calls: &[payment_saga::CALLS],
        databases: vec![("order", MIGRATIONS)],
        reasons: reasons::ALL,
        build,
    }
}

fn build(context: &mut ContextBuilder<'_>) -> anyhow::Result<()> {
    let orders = context.engine()?;
    let payment_saga = PaymentSaga::new(context, &orders)?;
    // Without an address of the kitchen, counter orders cannot be cancelled; everything else works.
    let kitchen = context.channel_if_known("kitchen")?.map(KitchenServiceClient::new);
    let cancellation = cancellation::Cancellation { orders: orders.clone(), kitchen };
    let api = grpc::OrderApi { orders: orders.clone(), payment_saga, cancellation };
    context.serve(OrderServiceServer::new(api).max_decoding_message_size(MAX_REQUEST_BYTES));
    context.subscribe("store", &orders, &policy::on_ticket_event(context.clock()));
    context.subscribe("delivery", &orders, &policy::on_delivery_event(context.clock()));
    context.subscribe("kitchen", &orders, &policy::on_production_event(context.clock()));
    Ok(())
}
