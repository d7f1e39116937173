//! The education context: the learners that a school has registered, course by course.
//!
//! A registration is opened by a paid enrollment, and has that enrollment's id. The school decides what becomes of it;
//! the enrollment decides whether it is wanted at all:
//!
//! ```text
//! a paid enrollment     complete
//! ─────────▶ REGISTERED ────────▶ COMPLETED
//!                │ cancel             │ the enrollment was cancelled a moment before it heard
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

/// The context, for the list.
pub fn context() -> Context {
    Context { name: "education", calls: &[], databases: vec![("education", MIGRATIONS)], reasons: reasons::ALL, build }
}

fn build(unit: &mut ContextBuilder<'_>) -> anyhow::Result<()> {
    let registrations = unit.engine()?;
    let api = grpc::EducationApi { registrations: registrations.clone() };
    unit.serve(EducationServiceServer::new(api).max_decoding_message_size(MAX_REQUEST_BYTES));
    unit.subscribe("enrollment", &registrations, &policy::on_enrollment_event(unit.clock()));
    Ok(())
}
