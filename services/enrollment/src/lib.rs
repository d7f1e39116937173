//! The enrollment context: the enrollments of learners in courses.
//!
//! A learner is enrolled only when the fee is paid; the crate `payment-saga` ensures that. The school receives an
//! event, so learners can enroll while education is down. A learner may cancel until the course is completed:
//!
//! ```text
//!            authorized                   the course is completed
//! PENDING ───────────────▶ ENROLLED ──────────────────────────────▶ COMPLETED
//!  │    │                    │
//!  │    │ declined           │ by the learner, or the school cancelled the registration
//!  │    ▼                    ▼
//!  │  REJECTED ◀── voided  CANCELLED
//!  │                 │
//!  └──▶ VOIDING ─────┘  payment's answer is unknown
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

/// Describes the context for the runtime.
pub fn context() -> Context {
    Context {
        name: "enrollment",
        calls: &[payment_saga::CALLS],
        databases: vec![("enrollment", MIGRATIONS)],
        reasons: reasons::ALL,
        build,
    }
}

fn build(context: &mut ContextBuilder<'_>) -> anyhow::Result<()> {
    let enrollments = context.engine()?;
    let payment_saga = PaymentSaga::new(context, &enrollments)?;
    let api = grpc::EnrollmentApi { enrollments: enrollments.clone(), payment_saga };
    context.serve(EnrollmentServiceServer::new(api).max_decoding_message_size(MAX_REQUEST_BYTES));
    context.subscribe("education", &enrollments, &policy::on_registration_event(context.clock()));
    Ok(())
}
