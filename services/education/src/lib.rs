//! The education context: the registrations of learners for courses.
//!
//! A registration follows from a paid enrollment, and has that enrollment's id. The school completes or cancels it; a
//! cancelled enrollment cancels it:
//!
//! ```text
//! a paid enrollment     complete
//! ─────────▶ REGISTERED ────────▶ COMPLETED
//!                │ cancel             │ the enrollment was cancelled at the same time
//!                ▼                    │
//!            CANCELLED ◀──────────────┘
//! ```

mod domain;
mod grpc;
mod policy;
pub mod reasons;
mod tables;

use contracts::education::v1::education_service_server::EducationServiceServer;
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use rpc::MAX_REQUEST_BYTES;
use runtime::{Context, ContextBuilder};

pub use domain::{Registration, State};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");

/// Describes the context for the runtime.
pub fn context() -> Context {
    Context { name: "education", calls: &[], databases: vec![("education", MIGRATIONS)], reasons: reasons::ALL, build }
}

fn build(context: &mut ContextBuilder<'_>) -> anyhow::Result<()> {
    let registrations = context.engine()?;
    let api = grpc::EducationApi { registrations: registrations.clone() };
    context.serve(EducationServiceServer::new(api).max_decoding_message_size(MAX_REQUEST_BYTES));
    context.subscribe("enrollment", &registrations, &policy::on_enrollment_event(context.clock()));
    Ok(())
}
