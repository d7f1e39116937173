//! The rule of deferred indexes (ADR 9): every row is in its index.

use std::collections::HashMap;

use engine::storage::Row;
use runtime::Topology;

use crate::{finding::Finding, tables::rows};

/// A row, or an index entry for it.
pub(crate) struct Entry {
    id: String,
    value: String,
    is_row: bool,
}

/// Reads the orders and their index by customer in one query; None if the order database is missing.
pub(crate) async fn read(topology: &Topology) -> anyhow::Result<Option<Vec<Entry>>> {
    if !topology.databases.contains_key("order") {
        return Ok(None);
    }
    let part = |table: &str, is_row: i64| format!("SELECT id, customer, CAST({is_row} AS BIGINT) FROM {table}");
    let sql = [part("orders", 1), part("orders_by_customer", 0), part("orders_by_customer_waiting", 0)];
    let sql = sql.join(" UNION ALL ");
    let entry = |row: &mut Row| Ok(Entry { id: row.text()?, value: row.text()?, is_row: row.int()? == 1 });
    rows(&topology.database("order", "order")?, sql, entry).await.map(Some)
}

/// Compares the index with the rows.
pub(crate) fn check(entries: &[Entry]) -> Finding {
    let mut finding =
        Finding::new("I1", "the index of orders by customer contains each order exactly once, and nothing else");
    let mut indexed: HashMap<(&str, &str), usize> = HashMap::new();
    for entry in entries.iter().filter(|entry| !entry.is_row) {
        *indexed.entry((&entry.id, &entry.value)).or_default() += 1;
    }
    for order in entries.iter().filter(|entry| entry.is_row) {
        finding.checked += 1;
        match indexed.remove(&(order.id.as_str(), order.value.as_str())) {
            Some(1) => {}
            found => {
                finding.violation(format!("orders/{} is in the index {} times", order.id, found.unwrap_or_default()));
            }
        }
    }
    for ((id, _), _) in indexed {
        finding.violation(format!("orders/{id} is in the index but does not exist"));
    }
    finding
}
