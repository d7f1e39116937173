//! The declaration of a context, which its crate exports.

use diesel_migrations::EmbeddedMigrations;
use jumun_core::Reason;

use crate::context_builder::ContextBuilder;

/// A context: its name, its databases, and how it is built.
pub struct Context {
    /// Its name: in the proto package, as database schema and on the command line.
    pub name: &'static str,
    /// The contexts that it calls.
    pub calls: &'static [&'static str],
    /// Its databases and their tables; the first is the context's own and has its name.
    pub databases: Vec<(&'static str, EmbeddedMigrations)>,
    /// The reasons of its errors, for the error catalogue.
    pub reasons: &'static [&'static Reason],
    /// Builds its engines, channels, services, subscriptions and workers.
    pub build: fn(&mut ContextBuilder<'_>) -> anyhow::Result<()>,
}
