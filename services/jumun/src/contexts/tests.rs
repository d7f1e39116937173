//! A context or an endpoint that is incomplete: the tests name what is missing.

use std::{collections::BTreeSet, fs, path::Path};

use contracts::POOL;
use prost_reflect::{MethodDescriptor, Value};

use super::{OPTIONAL_CALLS, names};

/// Proto packages that belong to no context.
const NOT_CONTEXTS: [&str; 3] = ["admin", "bench", "options"];

/// Contexts that subscribe to no other context: they need no policy.
const SUBSCRIBES_TO_NONE: [&str; 2] = ["customer", "warehouse"];

/// Methods without a rule function named after their verb: their constructors guarantee a valid aggregate.
const WITHOUT_RULE: [&str; 4] = ["CreateCustomer", "CreateEnrollment", "CreateOrder", "SendNotification"];

/// A step: a file, and the text that it must contain. NAME stands for the context; METHOD, FUNCTION and RULE stand for
/// `AcceptTicket`, `accept_ticket` and `accept`.
type Step = (&'static str, &'static str);

/// The maximum number of steps for a context and an endpoint.
const MAX_CONTEXT: usize = 10;
const MAX_ENDPOINT: usize = 6;

/// The steps of docs/how-to/add-a-context.md.
const CONTEXT: [Step; 10] = [
    ("proto/jumun/NAME/v1/NAME.proto", "package jumun.NAME.v1;"),
    ("services/NAME/Cargo.toml", "name = \"NAME\""),
    ("services/NAME/src/lib.rs", "name: \"NAME\""),
    ("services/NAME/src/domain.rs", "impl Aggregate for"),
    ("services/NAME/src/domain/tests.rs", "#[test]"),
    ("services/NAME/src/tables.rs", "impl Stored for"),
    ("services/NAME/src/grpc.rs", "#[tonic::async_trait]"),
    ("services/NAME/src/policy.rs", "Policy<"),
    ("services/NAME/src/reasons.rs", "jumun_core::reasons!"),
    ("services/jumun/Cargo.toml", "NAME = { path = \"../NAME\" }"),
];

/// What `make docs` generates: no step; the test of `reference` compares it.
const GENERATED: [Step; 2] =
    [("docs/reference/errors.md", "## NAME"), ("helm/jumun/contexts.json", "\"service\": \"jumun.NAME.v1.")];

/// The steps of docs/how-to/add-an-endpoint.md. One that only reads needs the first two.
const ENDPOINT: [Step; 6] = [
    ("proto/jumun/NAME/v1/NAME.proto", "rpc METHOD("),
    ("services/NAME/src/grpc.rs", "async fn FUNCTION("),
    ("services/NAME/src/domain.rs", "fn RULE"),
    ("services/NAME/src/domain/tests.rs", ".RULE"),
    ("services/NAME/src/reasons.rs", "jumun_core::reasons!"),
    ("proto/jumun/NAME/v1/NAME_event.proto", "message "),
];

#[test]
fn every_context_has_everything_that_the_recipe_asks_for() {
    let missing: Vec<_> = known().iter().flat_map(|name| missing(name, read)).collect();
    assert!(missing.is_empty(), "docs/how-to/add-a-context.md; there is missing:\n{}", missing.join("\n"));
}

#[test]
fn every_endpoint_has_everything_that_the_recipe_asks_for() {
    let missing: Vec<_> = endpoints().iter().flat_map(|method| lacking(method, read)).collect();
    assert!(missing.is_empty(), "docs/how-to/add-an-endpoint.md; there is missing:\n{}", missing.join("\n"));
}

#[test]
fn a_context_and_an_endpoint_need_few_steps() {
    for (name, steps, most) in [("a context", &CONTEXT[..], MAX_CONTEXT), ("an endpoint", &ENDPOINT, MAX_ENDPOINT)] {
        let files: BTreeSet<_> = steps.iter().map(|(file, _)| file).collect();
        assert!(files.len() == steps.len() && steps.len() <= most, "{name} needs {} steps", steps.len());
    }
}

#[test]
fn the_chart_lets_each_context_call_whom_it_calls() {
    let chart: serde_json::Value = serde_json::from_str(&read("helm/jumun/contexts.json")).expect("JSON");
    for context in super::all() {
        let calls = chart[context.name]["calls"].as_array().cloned().unwrap_or_default();
        let optional = OPTIONAL_CALLS.iter().filter(|(caller, _)| *caller == context.name);
        for callee in context.calls.iter().chain(optional.map(|(_, callee)| callee)) {
            assert!(calls.contains(&(*callee).into()), "helm/jumun/contexts.json: {} calls {callee}", context.name);
        }
    }
}

#[test]
fn the_calls_that_a_context_can_do_without_are_listed() {
    let files = |name: &str| fs::read_dir(root(&format!("services/{name}/src"))).expect("sources").flatten();
    for caller in names() {
        let sources: String = files(caller).map(|file| fs::read_to_string(file.path()).unwrap_or_default()).collect();
        let made = sources.split("channel_if_known(\"").skip(1).filter_map(|rest| rest.split('"').next());
        let listed = OPTIONAL_CALLS.iter().filter(|(of, _)| *of == caller).map(|(_, callee)| *callee);
        assert_eq!(made.collect::<BTreeSet<_>>(), listed.collect(), "OPTIONAL_CALLS of {caller}");
    }
}

#[test]
fn a_forgotten_step_is_named() {
    for (file, _) in CONTEXT.into_iter().chain(GENERATED) {
        let forgotten = file.replace("NAME", "order");
        let without = |path: &str| if path == forgotten { String::new() } else { read(path) };
        let missing = missing("order", without);
        assert!(missing.len() == 1 && missing[0].contains(&forgotten), "without {forgotten}: {missing:?}");
    }
}

#[test]
fn a_forgotten_step_of_an_endpoint_is_named() {
    let endpoints = endpoints();
    let accept = endpoints.iter().find(|method| method.name() == "AcceptTicket").expect("a method");
    for (file, _) in ENDPOINT {
        let forgotten = file.replace("NAME", "store");
        let without = |path: &str| if path == forgotten { String::new() } else { read(path) };
        let missing = lacking(accept, without);
        assert!(missing.len() == 1 && missing[0].contains(&forgotten), "without {forgotten}: {missing:?}");
    }
}

/// Every name that is a context somewhere: a proto folder, a crate with a gRPC service, or an entry of the list.
fn known() -> BTreeSet<String> {
    let protos = folders("proto/jumun").into_iter().filter(|name| !NOT_CONTEXTS.contains(&name.as_str()));
    let crates = folders("services").into_iter().filter(|name| root(&format!("services/{name}/src/grpc.rs")).exists());
    protos.chain(crates).chain(names().into_iter().map(str::to_owned)).collect()
}

/// The methods of every context.
fn endpoints() -> Vec<MethodDescriptor> {
    let is_context = |package: &str| package.split('.').nth(1).is_some_and(|name| !NOT_CONTEXTS.contains(&name));
    let services = POOL.services().filter(|service| is_context(service.package_name()));
    services.flat_map(|service| service.methods().collect::<Vec<_>>()).collect()
}

fn missing(name: &str, read: impl Fn(&str) -> String) -> Vec<String> {
    let is_needed = |file: &str| !(file.ends_with("policy.rs") && SUBSCRIBES_TO_NONE.contains(&name));
    let step = |(file, text): Step| {
        let (path, text) = (file.replace("NAME", name), text.replace("NAME", name));
        let hint =
            if GENERATED.iter().any(|(generated, _)| *generated == file) { " (`make docs` writes it)" } else { "" };
        (is_needed(&path) && !read(&path).contains(&text)).then(|| format!("{name}: {text:?} in {path}{hint}"))
    };
    CONTEXT.into_iter().chain(GENERATED).filter_map(step).collect()
}

fn lacking(method: &MethodDescriptor, read: impl Fn(&str) -> String) -> Vec<String> {
    let service = method.parent_service();
    let name = service.package_name().split('.').nth(1).unwrap_or_default();
    let function = snake_case(method.name());
    let rule = function.split('_').next().unwrap_or_default();
    let filled =
        |text: &str| text.replace("METHOD", method.name()).replace("FUNCTION", &function).replace("RULE", rule);
    let reads = jumun_core::contracts::option(method, "google.api.http").is_some_and(|http| has_text(&http, "get"));
    let steps = if reads { &ENDPOINT[..2] } else { &ENDPOINT[..] };
    let is_needed = |text: &str| !(text.contains("RULE") && WITHOUT_RULE.contains(&method.name()));
    let step = |(file, text): &Step| {
        let (path, wanted) = (file.replace("NAME", name), filled(text));
        (is_needed(text) && !is_called(&read(&path), &wanted))
            .then(|| format!("{}: {wanted:?} in {path}", method.name()))
    };
    steps.iter().filter_map(step).collect()
}

/// Whether a source contains this name, as a method (`.accept`) or an associated function (`Ticket::accept`).
fn is_called(source: &str, wanted: &str) -> bool {
    let ends = |at: usize| {
        !source[at..].starts_with(|next: char| next.is_alphanumeric()) || !wanted.ends_with(char::is_alphanumeric)
    };
    let has = |wanted: &str| source.match_indices(wanted).any(|(at, _)| ends(at + wanted.len()));
    has(wanted) || has(&wanted.replacen('.', ":", 1))
}

fn has_text(option: &Value, field: &str) -> bool {
    let text = option.as_message().and_then(|option| option.get_field_by_name(field));
    text.is_some_and(|text| text.as_str().is_some_and(|text| !text.is_empty()))
}

/// `accept_ticket` of `AcceptTicket`.
fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
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
