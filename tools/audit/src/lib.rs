//! `jumun check`: reads every database and checks the rules S1–S11, L1, N1–N3 and I1.
//!
//! It depends on the tables, not on the code that writes them. Work in progress is not a violation: an order, a payment
//! or an event that changed within `--grace-seconds` may still be waiting for its next step.

mod creations;
mod finding;
mod indexes;
mod people;
mod registrations;
mod requests;
mod rules;
mod snapshot;
mod stock;
mod tables;

use std::{collections::BTreeMap, io::Write, process::ExitCode};

use clap::Args;
use engine::storage::DatabaseUrl;
use runtime::Topology;

use finding::Finding;
use snapshot::Snapshot;

/// The maximum number of violations per rule that are printed; all are counted.
const MAX_SHOWN: usize = 10;

/// Arguments of `jumun check`.
#[derive(Args, Clone, Debug)]
pub struct CheckArgs {
    /// Ignore work in progress that changed within this many seconds
    #[arg(long, env = "JUMUN_CHECK_GRACE_SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(0..=3600))]
    grace_seconds: u32,
    /// Print a JSON object instead of a table
    #[arg(long)]
    json: bool,
}

/// Checks the databases that exist; the exit code is 1 if a rule is violated. `databases` contains the location by
/// context, `schemas` the schemas of each context.
pub async fn run(
    args: &CheckArgs,
    databases: &BTreeMap<String, DatabaseUrl>,
    schemas: &[(&'static str, &'static str)],
) -> anyhow::Result<ExitCode> {
    let (existing, missing): (Vec<_>, Vec<_>) = databases.iter().partition(|(_, url)| exists(url));
    anyhow::ensure!(!existing.is_empty(), "no database found: set JUMUN_DATA_DIR or JUMUN_DATABASE_URL");
    let topology = Topology {
        databases: existing.into_iter().map(|(context, url)| (context.clone(), url.clone())).collect(),
        ..Topology::default()
    };
    let snapshot = Snapshot::read(&topology, schemas, args.grace_seconds).await?;
    let findings = rules::check(&snapshot);
    let missing = missing.iter().map(|(context, _)| context.as_str()).collect::<Vec<_>>();
    if args.json {
        print_json(&findings, &missing)?;
    } else {
        print_table(&findings, &missing)?;
    }
    let clean = findings.iter().all(|finding| finding.violations.is_empty());
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn exists(url: &DatabaseUrl) -> bool {
    match url {
        DatabaseUrl::Sqlite(path) => path.exists(),
        DatabaseUrl::Postgres(_) => true,
    }
}

fn print_table(findings: &[Finding], missing: &[&str]) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for Finding { rule, says, checked, violations } in findings {
        writeln!(out, "{rule:<4} {:>9} checked  {:>5} violations  {says}", checked, violations.len())?;
        for violation in violations.iter().take(MAX_SHOWN) {
            writeln!(out, "       {violation}")?;
        }
    }
    if !missing.is_empty() {
        writeln!(out, "not checked, because missing: {}", missing.join(", "))?;
    }
    let violations: usize = findings.iter().map(|finding| finding.violations.len()).sum();
    writeln!(out, "{violations} violations")
}

fn print_json(findings: &[Finding], missing: &[&str]) -> std::io::Result<()> {
    let rules: Vec<_> = findings
        .iter()
        .map(|finding| {
            serde_json::json!({
                "rule": finding.rule,
                "says": finding.says,
                "checked": finding.checked,
                "violations": finding.violations,
            })
        })
        .collect();
    writeln!(std::io::stdout().lock(), "{}", serde_json::json!({ "rules": rules, "missing": missing }))
}
