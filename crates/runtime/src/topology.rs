//! Where the databases and the other contexts of a process are.

use std::collections::BTreeMap;

use auth::Authentication;
use engine::storage::{Database, DatabaseUrl};
use net::tls::ClientTls;

/// Where the databases and neighbours of a process are, by context.
#[derive(Clone, Debug, Default)]
pub struct Topology {
    /// The database of each context that runs here.
    pub databases: BTreeMap<String, DatabaseUrl>,
    /// The address of each context that runs elsewhere.
    pub addresses: BTreeMap<String, String>,
    /// How callers are authenticated. By default nobody is, and every call goes through.
    pub authentication: Authentication,
    /// Whom to trust at addresses that are `https://`.
    pub trust: ClientTls,
    /// The settings of contexts, by the setting's flag.
    pub settings: BTreeMap<String, String>,
}

impl Topology {
    /// One of a context's databases. On PostgreSQL it is a schema, in SQLite a file beside the context's.
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
