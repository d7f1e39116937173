//! A context, as its crate offers it.

use diesel_migrations::EmbeddedMigrations;
use jumun_core::Reason;

use crate::context_builder::ContextBuilder;

/// A context, as its crate offers it.
pub struct Context {
    /// Its name: the proto package, the database schema and the word on the command line.
    pub name: &'static str,
    /// The contexts that it calls.
    pub calls: &'static [&'static str],
    /// Its databases and their tables; the first is the context's own and has its name.
    pub databases: Vec<(&'static str, EmbeddedMigrations)>,
    /// Its reasons, for the catalogue of errors.
    pub reasons: &'static [&'static Reason],
    /// Wires it.
    pub build: fn(&mut ContextBuilder<'_>) -> anyhow::Result<()>,
}
