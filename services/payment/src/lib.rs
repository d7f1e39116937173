//! The payment context: every charge, and what became of it.
//!
//! One payable has at most one payment, whose id follows from the payable's name. The provider is asked before the
//! commit, and every question to it is idempotent by the payment's id, so a crash between the two is made good by
//! asking again.
//!
//! ```text
//!           approved                 it stands               it is withdrawn
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

/// The context, for the list.
pub fn context() -> Context {
    Context {
        name: "payment",
        calls: &[],
        databases: vec![("payment", MIGRATIONS), (PROVIDER_SCHEMA, PROVIDER_MIGRATIONS)],
        reasons: reasons::ALL,
        build,
    }
}

fn build(unit: &mut ContextBuilder<'_>) -> anyhow::Result<()> {
    let payments = unit.engine()?;
    let charges = unit.engine_without_events(PROVIDER_SCHEMA)?;
    let provider = provider::SimulatedProvider::new(charges, unit.clock().clone());
    let provider = Arc::new(bounded::Bounded::new(provider, unit.bulkhead("payment-provider")));
    let api = grpc::PaymentApi { payments: payments.clone(), provider: provider.clone() };
    unit.serve(PaymentServiceServer::new(api).max_decoding_message_size(MAX_REQUEST_BYTES));
    let on_order = policy::on_payable_event(payments.clone(), provider.clone(), policy::fate_of_order);
    unit.subscribe("order", &payments, &on_order);
    let on_enrollment = policy::on_payable_event(payments.clone(), provider, policy::fate_of_enrollment);
    unit.subscribe("enrollment", &payments, &on_enrollment);
    Ok(())
}
