//! The resources that requests created, as the contexts recorded them.

use engine::storage::Row;
use runtime::Topology;

use crate::tables::rows;

/// The methods that record the ID of what they created, and their contexts.
const CREATIONS: [(&str, &str); 3] =
    [("order", "CreateOrder"), ("enrollment", "CreateEnrollment"), ("customer", "CreateCustomer")];

/// A request and what it created.
pub(crate) struct Creation {
    pub(crate) context: &'static str,
    pub(crate) request: String,
    pub(crate) created: String,
}

/// Reads the requests. Must run before what they created is read.
pub(crate) async fn read(topology: &Topology) -> anyhow::Result<Vec<Creation>> {
    let mut creations = Vec::new();
    for (context, method) in CREATIONS.into_iter().filter(|(context, _)| topology.databases.contains_key(*context)) {
        let sql = format!("SELECT id, reply FROM requests WHERE id LIKE '{method}/%'");
        let creation = move |row: &mut Row| {
            let (request, created) = (row.text()?, row.bytes()?);
            Ok(Creation { context, request, created: String::from_utf8_lossy(&created).into_owned() })
        };
        creations.extend(rows(&topology.database(context, context)?, sql, creation).await?);
    }
    Ok(creations)
}
