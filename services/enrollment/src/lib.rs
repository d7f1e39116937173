//! The enrollment context: who applied for which course, and whether the place is theirs.
//!
//! An enrollment that is not paid never stands; how that is kept is in the crate `payment-saga`. The school is told by
//! event, so it may be down while learners apply. A learner may cancel until the course is completed:
//!
//! ```text
//!            authorized                   the course is completed
//! PENDING ───────────────▶ ENROLLED ──────────────────────────────▶ COMPLETED
//!  │    │                    │
//!  │    │ declined           │ by the learner, or the school cancelled the registration
//!  │    ▼                    ▼
//!  │  REJECTED ◀── voided  CANCELLED
//!  │                 │
//!  └──▶ VOIDING ─────┘  payment's answer was never learnt
//! ```

mod domain;
mod grpc;
mod policy;
pub mod reasons;
mod tables;

use contracts::enrollment::v1::enrollment_service_server::EnrollmentServiceServer;
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use payment_saga::PaymentSaga;
use rpc::MAX_REQUEST_BYTES;
use runtime::{Context, ContextBuilder};

pub use domain::{Enrollment, State};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");

/// The context, for the list.
pub fn context() -> Context {
    Context {
        name: "enrollment",
        calls: &[payment_saga::CALLS],
        databases: vec![("enrollment", MIGRATIONS)],
        reasons: reasons::ALL,
        build,
    }
}

fn build(unit: &mut ContextBuilder<'_>) -> anyhow::Result<()> {
    let enrollments = unit.engine()?;
    let payment_saga = PaymentSaga::new(unit, &enrollments)?;
    let api = grpc::EnrollmentApi { enrollments: enrollments.clone(), payment_saga };
    unit.serve(EnrollmentServiceServer::new(api).max_decoding_message_size(MAX_REQUEST_BYTES));
    unit.subscribe("education", &enrollments, &policy::on_registration_event(unit.clock()));
    Ok(())
}
