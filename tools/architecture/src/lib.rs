//! The rules of the floor plan ([ARCHITECTURE.md](../../../ARCHITECTURE.md)), as functions from the sources to what
//! breaks a rule. `tests/workspace.rs` applies them to the workspace; the tests beside each rule show that it fails.
//!
//! The rules read text, not types: no dependency, and no build of what they look at.

pub mod circles;
pub mod edges;
pub mod layers;
mod scan;
pub mod transactions;
pub mod words;

use std::{collections::BTreeMap, fmt, fs, io, path::Path};

/// The folders of the workspace that the rules read.
const FOLDERS: [&str; 4] = ["crates", "services", "tools", "proto"];
/// The files that they read there, by the end of their names.
const FILES: [&str; 4] = [".rs", ".proto", ".sql", "Cargo.toml"];

/// Files by their paths within the workspace.
pub type Sources = BTreeMap<String, String>;

/// Where a rule is broken, and how.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The path within the workspace.
    pub path: String,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub what: String,
}

impl Finding {
    pub(crate) fn new(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, what: what.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}: {}", self.path, self.line, self.what)
    }
}

/// Reads the sources of the workspace in this folder.
pub fn read(workspace: &Path) -> io::Result<Sources> {
    let mut sources = Sources::new();
    for folder in FOLDERS {
        read_folder(workspace, folder, &mut sources)?;
    }
    Ok(sources)
}

fn read_folder(workspace: &Path, folder: &str, sources: &mut Sources) -> io::Result<()> {
    for entry in fs::read_dir(workspace.join(folder))? {
        let entry = entry?;
        let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            read_folder(workspace, &path, sources)?;
        } else if FILES.iter().any(|end| path.ends_with(end)) {
            sources.insert(path, fs::read_to_string(entry.path())?);
        }
    }
    Ok(())
}

#[cfg(test)]
fn sources(files: &[(&str, &str)]) -> Sources {
    files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
}

#[cfg(test)]
fn shown(findings: &[Finding]) -> Vec<String> {
    findings.iter().map(ToString::to_string).collect()
}
