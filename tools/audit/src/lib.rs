//! `jumun check`: an auditor that reads every database and holds it against the rules S1–S11, L1, N1–N3 and I1.
//!
//! It knows the tables, not the code that wrote them. What is on its way is not a violation: an order, a payment or an
//! event that changed within `--grace-seconds` may still be waiting for its next step.

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

/// Violations of one rule that are printed; all are counted.
const MAX_SHOWN: usize = 10;

/// What `jumun check` can be told.
#[derive(Args, Clone, Debug)]
pub struct CheckArgs {
    /// What changed so recently may still be on its way
    #[arg(long, env = "JUMUN_CHECK_GRACE_SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(0..=3600))]
    grace_seconds: u32,
    /// Print one JSON object instead of the table
    #[arg(long)]
    json: bool,
}

/// Checks the databases that exist; exit code 1 when a rule is violated. `databases` says where each context's are, and
/// `schemas` which ones it has.
pub async fn run(
    args: &CheckArgs,
    databases: &BTreeMap<String, DatabaseUrl>,
    schemas: &[(&'static str, &'static str)],
) -> anyhow::Result<ExitCode> {
    let (here, missing): (Vec<_>, Vec<_>) = databases.iter().partition(|(_, url)| exists(url));
    anyhow::ensure!(!here.is_empty(), "there is no database: set JUMUN_DATA_DIR or JUMUN_DATABASE_URL");
    let places = Topology {
        databases: here.into_iter().map(|(context, url)| (context.clone(), url.clone())).collect(),
        ..Topology::default()
    };
    let snapshot = Snapshot::read(&places, schemas, args.grace_seconds).await?;
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
        writeln!(out, "not there, so not checked: {}", missing.join(", "))?;
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
