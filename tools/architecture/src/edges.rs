//! Which crate may depend on which. Dependencies of tests (`[dev-dependencies]`) are free.

use std::collections::BTreeMap;

use crate::{Finding, Sources};

/// The floors of `crates/`, from the bottom. A crate may depend on lower floors, and on nothing of its own.
const FLOORS: [&[&str]; 9] = [
    &["jumun-core"],
    &["net"],
    &["engine"],
    &["eventing"],
    &["auth"],
    &["rpc"],
    &["transcode"],
    &["runtime"],
    &["saga", "testkit"],
];
/// What stands above `crates/`, and what each may depend on there besides; the first line that matches a folder counts.
const ABOVE: [(&str, Below); 9] = [
    ("services/contracts", Below::Named(&["jumun-core"])),
    ("services/payment-saga", Below::CratesAnd(&["contracts"])),
    ("services/admin", Below::CratesAnd(&["contracts"])),
    ("services/jumun", Below::Everything),
    // A context: never another one.
    ("services/", Below::CratesAnd(&["contracts", "payment-saga"])),
    ("tools/architecture", Below::Named(&[])),
    // It compares the views with what they were made from.
    ("tools/audit", Below::CratesAnd(&["contracts", "dashboard"])),
    ("tools/client", Below::CratesAnd(&[])),
    ("tools/", Below::CratesAnd(&["contracts", "client"])),
];
/// It is for tests: nothing depends on it otherwise.
const FOR_TESTS: &str = "testkit";

enum Below {
    Named(&'static [&'static str]),
    CratesAnd(&'static [&'static str]),
    Everything,
}

/// The dependencies that the floor plan does not allow.
pub fn upward(sources: &Sources) -> Vec<Finding> {
    let manifests = || sources.iter().filter_map(|(path, text)| Some((path, path.strip_suffix("/Cargo.toml")?, text)));
    let folders: BTreeMap<&str, &str> =
        manifests().filter_map(|(_, folder, text)| Some((name(text)?, folder))).collect();
    let mut findings = Vec::new();
    for (path, folder, text) in manifests() {
        let Some(name) = name(text) else { continue };
        if folder.starts_with("crates/") && floor(name).is_none() {
            findings.push(Finding::new(path, 1, format!("{name} has no floor; give it one in FLOORS")));
        }
        for (dependency, line) in dependencies(text) {
            if folders.contains_key(dependency) && !may_depend(folder, name, dependency) {
                findings.push(Finding::new(path, line, format!("{name} may not depend on {dependency}")));
            }
        }
    }
    findings
}

fn may_depend(folder: &str, name: &str, dependency: &str) -> bool {
    if folder.starts_with("crates/") {
        return floor(name).zip(floor(dependency)).is_some_and(|(own, other)| other < own);
    }
    let below = ABOVE.iter().find(|(prefix, _)| folder.starts_with(prefix)).map(|(_, below)| below);
    match below {
        Some(Below::Everything) => dependency != FOR_TESTS,
        Some(Below::Named(named)) => named.contains(&dependency),
        Some(Below::CratesAnd(named)) => {
            named.contains(&dependency) || (floor(dependency).is_some() && dependency != FOR_TESTS)
        }
        None => false,
    }
}

fn floor(name: &str) -> Option<usize> {
    FLOORS.iter().position(|crates| crates.contains(&name))
}

fn name(manifest: &str) -> Option<&str> {
    manifest.lines().find_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'))
}

/// What a program or its build depends on, with its line.
fn dependencies(manifest: &str) -> Vec<(&str, usize)> {
    let mut is_counted = false;
    let mut dependencies = Vec::new();
    for (index, line) in manifest.lines().enumerate() {
        if line.starts_with('[') {
            is_counted = line.ends_with("dependencies]") && !line.contains("dev-dependencies");
        } else if is_counted && let Some((key, _)) = line.split_once('=') {
            dependencies.push((key.split('.').next().unwrap_or_default().trim(), index + 1));
        }
    }
    dependencies
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{shown, sources};

    fn manifest(name: &str, dependencies: &str) -> String {
        format!("[package]\nname = \"{name}\"\n\n[dependencies]\n{dependencies}")
    }

    #[test]
    fn an_edge_upwards_is_found_with_its_line() {
        let files = [
            ("crates/core/Cargo.toml", manifest("jumun-core", "")),
            ("crates/engine/Cargo.toml", manifest("engine", "jumun-core.workspace = true\nrpc.workspace = true\n")),
            ("crates/rpc/Cargo.toml", manifest("rpc", "tonic = \"1\"\norder = { path = \"../../services/order\" }\n")),
            ("crates/new/Cargo.toml", manifest("new", "")),
            ("services/contracts/Cargo.toml", manifest("contracts", "rpc.workspace = true\n")),
            (
                "services/order/Cargo.toml",
                manifest("order", "contracts.workspace = true\nstore = { path = \"../store\" }\n"),
            ),
            (
                "services/store/Cargo.toml",
                manifest("store", "engine.workspace = true\n[dev-dependencies]\norder.workspace = true\n"),
            ),
            ("services/jumun/Cargo.toml", manifest("jumun", "order.workspace = true\nstore.workspace = true\n")),
        ];
        let files: Vec<_> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
        assert_eq!(
            shown(&upward(&sources(&files))),
            [
                "crates/engine/Cargo.toml:6: engine may not depend on rpc",
                "crates/new/Cargo.toml:1: new has no floor; give it one in FLOORS",
                "crates/rpc/Cargo.toml:6: rpc may not depend on order",
                "services/contracts/Cargo.toml:5: contracts may not depend on rpc",
                "services/order/Cargo.toml:6: order may not depend on store",
            ]
        );
    }
}
