//! Transactions and SQL are the engine's alone.

use crate::{Finding, Sources, scan::programs};

/// Where transactions and SQL belong.
const ENGINE: &str = "crates/engine";
/// What may read tables by SQL of its own: `jumun check`, and the cluster that tests run in.
const READERS: [&str; 2] = ["tools/audit", "crates/testkit"];
/// Begins of statements that bound a transaction.
const BOUNDS: [&str; 4] = ["BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT"];
/// Code that uses a connection directly. `diesel_migrations` embeds a context's migrations, and is free.
const CONNECTION: [&str; 2] = ["transaction(", "diesel::"];
const SQL: [&str; 4] = ["SELECT ", "INSERT ", "UPDATE ", "DELETE "];

/// Raw transactions and SQL outside the engine.
pub fn outside_engine(sources: &Sources) -> Vec<Finding> {
    let mut findings = Vec::new();
    for program in programs(sources).iter().filter(|program| program.folder() != ENGINE && program.folder() != OWN) {
        let mut found = |offset, what: String| findings.push(Finding::new(&program.path, program.line(offset), what));
        for part in CONNECTION {
            for offset in words(&program.code, part) {
                found(offset, format!("`{part}` belongs to the engine: decide in a rule, and let `Engine` commit it"));
            }
        }
        for word in BOUNDS {
            for offset in words(&program.literals, word) {
                if program.literals[..offset].trim_end().ends_with(['"', '#', ';']) {
                    found(offset, format!("a raw transaction ({word}) belongs to the engine"));
                }
            }
        }
        for word in SQL.iter().filter(|_| !READERS.contains(&program.folder())) {
            for offset in words(&program.literals, word) {
                found(offset, format!("SQL ({}) belongs to the engine: use `Query`", word.trim_end()));
            }
        }
    }
    findings.sort();
    findings
}

/// This crate, which names what it looks for.
const OWN: &str = "tools/architecture";

/// Where a word begins.
fn words<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let is_inner = |character: char| character.is_alphanumeric() || character == '_';
    text.match_indices(word).map(|(offset, _)| offset).filter(move |offset| !text[..*offset].ends_with(is_inner))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{shown, sources};

    #[test]
    fn a_raw_transaction_outside_the_engine_is_found_with_its_line() {
        let text = "// BEGIN\nfn a() {\n    run(\"BEGIN IMMEDIATE\");\n    pem(\"-----BEGIN KEY\");\n    c.transaction(|c| run(\"SELECT 1\"));\n}\n\
                    use diesel_migrations::embed_migrations;\nuse diesel::sql_query;\n#[cfg(test)]\nmod tests { fn b() { run(\"COMMIT\") } }";
        let files = ["crates/engine/src/a.rs", "services/order/src/lib.rs", "tools/audit/src/lib.rs"];
        let files: Vec<_> = files.iter().map(|path| (*path, text)).collect();
        assert_eq!(
            shown(&outside_engine(&sources(&files))),
            [
                "services/order/src/lib.rs:3: a raw transaction (BEGIN) belongs to the engine",
                "services/order/src/lib.rs:5: SQL (SELECT) belongs to the engine: use `Query`",
                "services/order/src/lib.rs:5: `transaction(` belongs to the engine: decide in a rule, and let `Engine` commit it",
                "services/order/src/lib.rs:8: `diesel::` belongs to the engine: decide in a rule, and let `Engine` commit it",
                "tools/audit/src/lib.rs:3: a raw transaction (BEGIN) belongs to the engine",
                "tools/audit/src/lib.rs:5: `transaction(` belongs to the engine: decide in a rule, and let `Engine` commit it",
                "tools/audit/src/lib.rs:8: `diesel::` belongs to the engine: decide in a rule, and let `Engine` commit it",
            ]
        );
    }
}
