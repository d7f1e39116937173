//! The payment context: the payments of orders and enrollments.
//!
//! One payable has at most one payment, whose id follows from the payable's name. The provider is called before the
//! commit. Its calls are idempotent by the payment's id, so they are repeated after a crash between call and commit.
//!
//! ```text
//!           approved                 confirmed               cancelled
//!    ┌─────────────────▶ AUTHORIZED ───────────▶ CAPTURED ───────────────▶ REFUNDED
//! (nothing) ─ refused ─▶ DECLINED    │ voided
//!    └───── voided ──────────────────┴──▶ VOIDED   (the tombstone: a late authorization is refused)
//! ```

mod bounded;
mod domain;
mod grpc;
mod policy;
mod provider;
pub mod reasons;
mod tables;

use std::sync::Arc;

use contracts::payment::v1::payment_service_server::PaymentServiceServer;
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use rpc::MAX_REQUEST_BYTES;
use runtime::{Context, ContextBuilder};

pub use domain::{Payment, State};
pub use provider::{Charge, ChargeState, PROVIDER_SCHEMA};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");
const PROVIDER_MIGRATIONS: EmbeddedMigrations = embed_migrations!("provider_migrations");

/// Describes the context for the runtime.
pub fn context() -> Context {
    Context {
        name: "payment",
        calls: &[],
        databases: vec![("payment", MIGRATIONS), (PROVIDER_SCHEMA, PROVIDER_MIGRATIONS)],
        reasons: reasons::ALL,
        build,
    }
}

fn build(context: &mut ContextBuilder<'_>) -> anyhow::Result<()> {
    let payments = context.engine()?;
    let charges = context.engine_without_events(PROVIDER_SCHEMA)?;
    let provider = provider::SimulatedProvider::new(charges, context.clock().clone());
    let provider = Arc::new(bounded::Bounded::new(provider, context.bulkhead("payment-provider")));
    let api = grpc::PaymentApi { payments: payments.clone(), provider: provider.clone() };
    context.serve(PaymentServiceServer::new(api).max_decoding_message_size(MAX_REQUEST_BYTES));
    let on_order = policy::on_payable_event(payments.clone(), provider.clone(), policy::order_operation);
    context.subscribe("order", &payments, &on_order);
    let on_enrollment = policy::on_payable_event(payments.clone(), provider, policy::enrollment_operation);
    context.subscribe("enrollment", &payments, &on_enrollment);
    Ok(())
}
