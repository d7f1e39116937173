//! Brings the databases of contexts up to date, or checks that somebody did.

use diesel_migrations::EmbeddedMigrations;
use engine::storage::Database;

use crate::{context::Context, topology::Topology};

impl Topology {
    /// Brings every database of these contexts up to date.
    pub fn migrate(&self, contexts: &[Context]) -> anyhow::Result<()> {
        self.for_each_database(contexts, Database::migrate)
    }

    /// Fails unless every database of these contexts is up to date.
    pub fn require_migrated(&self, contexts: &[Context]) -> anyhow::Result<()> {
        self.for_each_database(contexts, Database::require_migrated)
    }

    fn for_each_database(
        &self,
        contexts: &[Context],
        act: impl Fn(&Database, &EmbeddedMigrations) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        for context in contexts {
            for (schema, migrations) in &context.databases {
                act(&self.database(context.name, schema)?, migrations)?;
            }
        }
        Ok(())
    }
}
