//! The customer context: the registrations of customers.
//!
//! A customer is registered only when a welcome was delivered. The registration is recorded as PENDING before
//! notification is called, so the recovery finds and finishes it when the call, the answer or the process is lost:
//!
//! ```text
//!          welcome delivered                cancelled by the customer
//! PENDING ─────────────────────▶ REGISTERED ────────────────▶ CANCELLED
//!    │ refused, or withdrawn
//!    └───────────▶ REJECTED
//! ```
//!
//! Phone, address and age are stored only in this context's table, and returned only to the owner. Events and
//! notifications contain the name of the account instead.

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

/// Describes the context for the runtime.
pub fn context() -> Context {
    let databases = vec![("customer", MIGRATIONS)];
    Context { name: "customer", calls: &["notification"], databases, reasons: reasons::ALL, build }
}

fn build(context: &mut ContextBuilder<'_>) -> anyhow::Result<()> {
    let customers = context.engine()?;
    let welcome = registration_saga::Welcome { notification: context.channel("notification")? };
    let registration_saga = SagaRunner::new(&customers, welcome);
    registration_saga.recover_regularly(context, "customer-recovery");
    let api = grpc::CustomerApi { customers, registration_saga };
    context.serve(CustomerServiceServer::new(api).max_decoding_message_size(MAX_REQUEST_BYTES));
    Ok(())
}
