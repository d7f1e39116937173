//! docs/reference/metrics.md, from the catalogue of metrics.

use std::fmt::Write;

use super::{cell, codes};

const INTRODUCTION: &str = "\
# Metrics

Every process serves these at `/metrics`, in the Prometheus text format. Labels are methods, codes, contexts and
consumers, never ids. A series appears when there is something to say. [Observe](../how-to/observe.md) says which to look
at first.

| metric | kind | unit | labels | meaning |
|---|---|---|---|---|
";

pub(super) fn page() -> anyhow::Result<String> {
    let mut page = INTRODUCTION.to_owned();
    for metric in runtime::metrics::catalogue() {
        let labels = codes(metric.labels.iter().chain(metric.constant_labels).copied());
        let kind = format!("{:?}", metric.kind).to_lowercase();
        writeln!(page, "| `{}` | {kind} | {} | {labels} | {} |", metric.name, metric.unit, cell(metric.help))?;
    }
    Ok(page)
}
