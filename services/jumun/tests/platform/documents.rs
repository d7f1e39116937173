//! The documents: their links lead somewhere, and every command in them either runs in a test (`processes::documents`) or
//! is marked as one that cannot. docs/README.md says how commands are written.

use std::{
    fs,
    path::{Path, PathBuf},
};

use regex::Regex;

/// The README is read in a few minutes.
const MAX_README_LINES: usize = 150;
/// Comes before a block that does not run, with the reason.
const NOT_RUN: &str = "<!-- not run: ";
/// Languages of blocks that look like commands to run.
const SHELLS: [&str; 4] = ["sh", "bash", "shell", "zsh"];
/// Folders that hold no documents of ours.
const OTHERS: [&str; 3] = ["target", ".git", "node_modules"];

/// A document of the repository.
pub(crate) struct Document {
    pub(crate) path: PathBuf,
    text: String,
}

/// A fenced block of a document.
pub(crate) struct Block<'a> {
    /// The line that it begins at.
    pub(crate) line: usize,
    language: &'a str,
    before: &'a str,
    pub(crate) lines: Vec<&'a str>,
}

impl Document {
    pub(crate) fn blocks(&self, language: &str) -> Vec<Block<'_>> {
        let mut blocks: Vec<Block<'_>> = Vec::new();
        let (mut is_open, mut before) = (false, "");
        for (index, line) in self.text.lines().enumerate() {
            match line.strip_prefix("```") {
                Some(language) if !is_open => {
                    blocks.push(Block { line: index + 1, language, before, lines: Vec::new() });
                    is_open = true;
                }
                Some(_) => is_open = false,
                None if is_open => blocks.iter_mut().last().expect("it is open").lines.push(line),
                None => {}
            }
            before = line;
        }
        blocks.retain(|block| block.language == language);
        blocks
    }

    /// The text without code, which may look like links or headings.
    fn prose(&self) -> String {
        let is_fence = |line: &&str| line.starts_with("```");
        let mut prose = String::new();
        let mut is_code = false;
        for line in self.text.lines() {
            is_code ^= is_fence(&line);
            if !is_code && !is_fence(&line) {
                prose.extend([line, "\n"]);
            }
        }
        prose
    }

    /// The anchors of its headings, as GitHub makes them.
    fn anchors(&self) -> Vec<String> {
        let slug = |heading: &str| {
            let kept = heading.to_lowercase().replace(' ', "-");
            kept.chars().filter(|letter| letter.is_alphanumeric() || matches!(letter, '-' | '_')).collect()
        };
        let prose = self.prose();
        let headings = prose.lines().filter(|line| line.starts_with('#'));
        headings.map(|line| slug(line.trim_start_matches('#').trim())).collect()
    }
}

/// Every Markdown file of the repository.
pub(crate) fn documents() -> Vec<Document> {
    let mut documents = Vec::new();
    collect(&root(), &mut documents);
    documents.sort_by(|one, other| one.path.cmp(&other.path));
    documents
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository")
}

fn collect(folder: &Path, documents: &mut Vec<Document>) {
    for entry in fs::read_dir(folder).expect("a folder of the repository").flatten() {
        let (path, kind) = (entry.path(), entry.file_type().expect("a file of the repository"));
        if kind.is_dir() && !OTHERS.iter().any(|other| entry.file_name() == *other) {
            collect(&path, documents);
        } else if kind.is_file() && path.extension().is_some_and(|extension| extension == "md") {
            let text = fs::read_to_string(&path).expect("a document");
            documents.push(Document { path, text });
        }
    }
}

#[test]
fn a_command_that_does_not_run_in_a_test_says_why() {
    let mut silent = Vec::new();
    for document in documents() {
        for block in SHELLS.iter().flat_map(|shell| document.blocks(shell)) {
            let says = block.before.strip_prefix(NOT_RUN).is_some_and(|reason| reason.ends_with(" -->"));
            let (path, line) = (document.path.display(), block.line);
            if !says {
                silent.push(format!("{path}:{line}: mark it `console`, or put `{NOT_RUN}REASON -->` before it"));
            }
        }
    }
    assert!(silent.is_empty(), "{}", silent.join("\n"));
}

#[test]
fn every_link_leads_somewhere() {
    let link = Regex::new(r"\]\(([^)\s]+)\)").expect("an expression");
    let code = Regex::new("`[^`\n]*`").expect("an expression");
    let documents = documents();
    let mut broken = Vec::new();
    for document in &documents {
        let prose = document.prose();
        let prose = code.replace_all(&prose, "");
        for target in link.captures_iter(&prose).map(|found| found.extract::<1>().1[0]) {
            if !target.contains("://") && !target.starts_with("mailto:") && !leads(document, target, &documents) {
                broken.push(format!("{}: {target}", document.path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

fn leads(from: &Document, target: &str, documents: &[Document]) -> bool {
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    let folder = from.path.parent().expect("a folder");
    let path = if file.is_empty() { from.path.clone() } else { folder.join(file) };
    let Ok(path) = path.canonicalize() else { return false };
    let document = documents.iter().find(|document| document.path == path);
    anchor.is_empty() || document.is_some_and(|document| document.anchors().iter().any(|known| known == anchor))
}

#[test]
fn the_readme_is_short() {
    let lines = fs::read_to_string(root().join("README.md")).expect("README.md").lines().count();
    assert!(lines <= MAX_README_LINES, "README.md has {lines} lines, more than {MAX_README_LINES}");
}
