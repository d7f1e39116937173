//! The customer context: who is registered.
//!
//! A customer whom no notification reached is not registered. The registration is written down as PENDING before
//! notification is asked, so whatever happens to the question, the answer or the process, the recovery finds it:
//!
//! ```text
//!          the welcome arrived              by the customer, whoever is down
//! PENDING ─────────────────────▶ REGISTERED ────────────────▶ CANCELLED
//!    │ refused, or withdrawn: it never arrives
//!    └───────────▶ REJECTED
//! ```
//!
//! Phone, address and age are in this context's own table and in the answers to its owner, and nowhere else: events
//! and notifications call the customer by the name of its account.

mod domain;
mod grpc;
pub mod reasons;
mod registration_saga;
mod tables;

use contracts::customer::v1::customer_service_server::CustomerServiceServer;
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use rpc::MAX_REQUEST_BYTES;
use runtime::{Context, ContextBuilder};
use saga::SagaRunner;

pub use domain::{Customer, State};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");

/// The context, for the list.
pub fn context() -> Context {
    let databases = vec![("customer", MIGRATIONS)];
    Context { name: "customer", calls: &["notification"], databases, reasons: reasons::ALL, build }
}

fn build(unit: &mut ContextBuilder<'_>) -> anyhow::Result<()> {
    let customers = unit.engine()?;
    let welcome = registration_saga::Welcome { notification: unit.channel("notification")? };
    let registration_saga = SagaRunner::new(&customers, welcome);
    registration_saga.recover_regularly(unit, "customer-recovery");
    let api = grpc::CustomerApi { customers, registration_saga };
    unit.serve(CustomerServiceServer::new(api).max_decoding_message_size(MAX_REQUEST_BYTES));
    Ok(())
}
