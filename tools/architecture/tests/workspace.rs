//! The workspace keeps its own rules. A failure names the file and the line.

use std::path::Path;

use architecture::{Finding, Sources, circles, edges, layers, read, transactions, words};

fn workspace() -> Sources {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let sources = read(&root).expect("the sources");
    assert!(sources.contains_key("crates/core/src/lib.rs"), "these are not the sources");
    sources
}

#[track_caller]
fn assert_none(findings: &[Finding]) {
    let lines: Vec<_> = findings.iter().map(ToString::to_string).collect();
    assert!(findings.is_empty(), "{} findings:\n{}", lines.len(), lines.join("\n"));
}

#[test]
fn dependencies_point_down() {
    assert_none(&edges::upward(&workspace()));
}

#[test]
fn no_modules_use_each_other_in_a_circle() {
    assert_none(&circles::of_modules(&workspace()));
}

#[test]
fn mechanism_knows_no_business_word() {
    let sources = workspace();
    assert_none(&words::in_mechanism(&sources, &words::of_business(&sources)));
}

#[test]
fn only_the_engine_begins_transactions_and_writes_sql() {
    assert_none(&transactions::outside_engine(&workspace()));
}

#[test]
fn every_layer_stands_in_the_list() {
    assert_none(&layers::outside_the_lists(&workspace()));
}
