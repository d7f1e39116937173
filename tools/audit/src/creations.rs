//! What requests made, as contexts remember it.

use engine::storage::Row;
use runtime::Topology;

use crate::tables::rows;

/// The methods that remember the id of what they made, and their contexts.
const CREATIONS: [(&str, &str); 3] =
    [("order", "CreateOrder"), ("enrollment", "CreateEnrollment"), ("customer", "CreateCustomer")];

/// What a request made.
pub(crate) struct Creation {
    pub(crate) context: &'static str,
    pub(crate) request: String,
    pub(crate) made: String,
}

/// Reads what requests made, before what they made is read.
pub(crate) async fn read(places: &Topology) -> anyhow::Result<Vec<Creation>> {
    let mut creations = Vec::new();
    for (context, method) in CREATIONS.into_iter().filter(|(context, _)| places.databases.contains_key(*context)) {
        let sql = format!("SELECT id, reply FROM requests WHERE id LIKE '{method}/%'");
        let creation = move |row: &mut Row| {
            let (request, made) = (row.text()?, row.bytes()?);
            Ok(Creation { context, request, made: String::from_utf8_lossy(&made).into_owned() })
        };
        creations.extend(rows(&places.database(context, context)?, sql, creation).await?);
    }
    Ok(creations)
}
