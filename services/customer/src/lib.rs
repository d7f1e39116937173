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
mod registering;
mod tables;

use std::time::Duration;

use contracts::{
    customer::v1::customer_service_server::CustomerServiceServer,
    notification::v1::notification_service_client::NotificationServiceClient,
};
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use kit::{Context, MAX_REQUEST_BYTES, Unit};

pub use domain::{Customer, State};

/// How often registrations without notification's word are looked for.
const RECOVERY_INTERVAL: Duration = Duration::from_secs(1);

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");

/// The context, for the list.
pub fn context() -> Context {
    let databases = vec![("customer", MIGRATIONS)];
    Context { name: "customer", calls: &["notification"], databases, reasons: reasons::ALL, build }
}

fn build(unit: &mut Unit<'_>) -> anyhow::Result<()> {
    let customers = unit.engine()?;
    let to_notification = unit.channel("notification")?;
    let notifications = NotificationServiceClient::new(to_notification.clone());
    let registering = registering::Registering { customers, notifications, to_notification };
    let api = grpc::CustomerApi { registering: registering.clone() };
    unit.serve(CustomerServiceServer::new(api).max_decoding_message_size(MAX_REQUEST_BYTES));
    unit.every(RECOVERY_INTERVAL, "customer-recovery", move || {
        let registering = registering.clone();
        async move { registering.recover().await }
    });
    Ok(())
}
