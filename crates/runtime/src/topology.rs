//! The topology: where the databases of a process and the other contexts are.

use std::collections::BTreeMap;

use auth::Authentication;
use engine::storage::{Database, DatabaseUrl};
use net::tls::ClientTls;

/// The databases and addresses of contexts, and how connections to them are secured.
#[derive(Clone, Debug, Default)]
pub struct Topology {
    /// The database of each context that runs in this process, by context.
    pub databases: BTreeMap<String, DatabaseUrl>,
    /// The address of each context that runs in another process, by context.
    pub addresses: BTreeMap<String, String>,
    /// How callers are authenticated. By default they are not, and every call is permitted.
    pub authentication: Authentication,
    /// The certificates that are trusted at `https://` addresses.
    pub trust: ClientTls,
    /// The settings of contexts, by the flag of the setting.
    pub settings: BTreeMap<String, String>,
}

impl Topology {
    /// One of a context's databases: a schema on PostgreSQL, a file in the same folder on SQLite. Fails if no database
    /// is set for the context.
    pub fn database(&self, context: &str, schema: &str) -> anyhow::Result<Database> {
        let url = self.databases.get(context).ok_or_else(|| anyhow::anyhow!("no database is set for {context}"))?;
        let url = match url {
            DatabaseUrl::Sqlite(path) if schema != context => {
                DatabaseUrl::Sqlite(path.with_file_name(format!("{schema}.db")))
            }
            url => url.clone(),
        };
        Ok(Database::new(schema, url))
    }
}
