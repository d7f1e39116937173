//! Migrates the databases of contexts, or checks that they are up to date.

use diesel_migrations::EmbeddedMigrations;
use engine::storage::Database;

use crate::{context::Context, topology::Topology};

impl Topology {
    /// Migrates every database of these contexts to the newest schema.
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
