//! What the code says of itself, as files: docs/reference, and what the chart is rendered from. `make docs` writes them,
//! and the test below compares them.

mod chart;
mod command_line;
mod methods;
mod metrics;
mod openapi;
mod settings;

use std::{fs, path::Path};

use crate::errors;

/// Set by `make docs`: the files are written, not compared.
const WRITE: &str = "JUMUN_WRITE_REFERENCE";

/// What every process serves to operators beside its contexts.
const ADMIN: &str = "jumun.admin.v1.AdminService";

type Page = fn() -> anyhow::Result<String>;

/// Every generated file of the repository.
const FILES: [(&str, Page); 7] = [
    ("docs/reference/command-line.md", command_line::page),
    ("docs/reference/errors.md", || Ok(errors::page())),
    ("docs/reference/methods.md", methods::page),
    ("docs/reference/metrics.md", metrics::page),
    ("docs/reference/openapi.json", openapi::page),
    ("docs/reference/settings.md", settings::page),
    ("helm/jumun/contexts.json", chart::page),
];

#[test]
fn every_generated_file_is_current() {
    let is_written = std::env::var_os(WRITE).is_some();
    let mut stale = Vec::new();
    for (name, page) in FILES {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name);
        let page = page().unwrap_or_else(|error| panic!("{name}: {error:#}"));
        if is_written {
            fs::write(&file, page).unwrap_or_else(|error| panic!("{name}: {error}"));
        } else if fs::read_to_string(&file).unwrap_or_default() != page {
            stale.push(name);
        }
    }
    assert!(stale.is_empty(), "`make docs` writes what differs from the code: {}", stale.join(", "));
}

/// Text as a cell of a Markdown table: on one line, and without a bar that would end it.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

/// Words as code, joined by commas.
fn codes<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    words.into_iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}
