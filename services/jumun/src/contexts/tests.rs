//! A context that was added by half is told by name what it lacks.

use std::{collections::BTreeSet, fs, path::Path};

use super::names;

/// Packages that are not a context's.
const NO_CONTEXTS: [&str; 3] = ["admin", "bench", "options"];

/// Contexts that hear no other: they need no policy.
const HEARS_NOBODY: [&str; 2] = ["customer", "warehouse"];

/// The steps of README.md, "A new context": a file, and what has to be in it. NAME stands for the context.
const RECIPE: [(&str, &str); 22] = [
    ("proto/jumun/NAME/v1/NAME.proto", "package jumun.NAME.v1;"),
    ("services/contracts/src/lib.rs", "NAME"),
    ("services/NAME/Cargo.toml", "name = \"NAME\""),
    ("services/NAME/src/lib.rs", "name: \"NAME\""),
    ("services/NAME/src/domain.rs", "impl Aggregate for"),
    ("services/NAME/src/domain/tests.rs", "#[test]"),
    ("services/NAME/src/tables.rs", "impl Stored for"),
    ("services/NAME/src/grpc.rs", "#[tonic::async_trait]"),
    ("services/NAME/src/policy.rs", "Policy<"),
    ("services/NAME/src/reasons.rs", "jumun_core::reasons!"),
    ("Cargo.toml", "NAME = { path = \"services/NAME\" }"),
    ("services/jumun/Cargo.toml", "NAME.workspace = true"),
    ("services/jumun/src/contexts.rs", "NAME::context()"),
    ("services/jumun/src/check/books.rs", "(\"NAME\", \"NAME\", \""),
    ("services/jumun/tests/platform/journeys/food.rs", "NAME::context()"),
    ("services/jumun/tests/platform/http/every_method.rs", "\"NAME.v1."),
    ("services/jumun/tests/platform/processes/access.rs", "\"NAME.v1."),
    ("services/jumun/tests/platform/processes/fleet.rs", "\"NAME\""),
    ("docs/errors.md", "## NAME"),
    ("helm/jumun/contexts.yaml", "\n  NAME:"),
    ("helm/jumun/methods.json", "\"jumun.NAME.v1."),
    ("README.md", "`jumun.NAME.v1."),
];

#[test]
fn every_context_has_everything_that_the_recipe_asks_for() {
    let missing: Vec<_> = known().iter().flat_map(|name| missing(name, read)).collect();
    assert!(missing.is_empty(), "README.md, \"A new context\"; there is missing:\n{}", missing.join("\n"));
}

#[test]
fn the_chart_lets_each_context_call_whom_it_calls() {
    let map: serde_json::Value = yaml_serde::from_str(&read("helm/jumun/contexts.yaml")).expect("YAML");
    for context in super::all() {
        let calls = map["contexts"][context.name]["calls"].as_array().cloned().unwrap_or_default();
        for callee in context.calls {
            assert!(calls.contains(&(*callee).into()), "helm/jumun/contexts.yaml: {} calls {callee}", context.name);
        }
    }
}

#[test]
fn a_forgotten_step_is_named() {
    for (file, _) in RECIPE {
        let forgotten = file.replace("NAME", "order");
        let without = |path: &str| if path == forgotten { String::new() } else { read(path) };
        let missing = missing("order", without);
        assert!(missing.len() == 1 && missing[0].contains(&forgotten), "without {forgotten}: {missing:?}");
    }
}

/// Whatever is a context in one place: a proto folder, a folder with migrations, or an entry of the list.
fn known() -> BTreeSet<String> {
    let protos = folders("proto/jumun").into_iter().filter(|name| !NO_CONTEXTS.contains(&name.as_str()));
    let crates = folders("services").into_iter().filter(|name| root(&format!("services/{name}/src/grpc.rs")).exists());
    protos.chain(crates).chain(names().into_iter().map(str::to_owned)).collect()
}

fn missing(name: &str, read: impl Fn(&str) -> String) -> Vec<String> {
    let step = |(file, text): (&str, &str)| {
        let (file, text) = (file.replace("NAME", name), text.replace("NAME", name));
        let is_needed = !(file.ends_with("policy.rs") && HEARS_NOBODY.contains(&name));
        (is_needed && !read(&file).contains(&text)).then(|| format!("{name}: {text:?} in {file}"))
    };
    RECIPE.into_iter().filter_map(step).collect()
}

fn read(path: &str) -> String {
    fs::read_to_string(root(path)).unwrap_or_default()
}

fn folders(path: &str) -> Vec<String> {
    let entries = fs::read_dir(root(path)).expect("a folder of the repository").flatten();
    entries
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

fn root(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}
