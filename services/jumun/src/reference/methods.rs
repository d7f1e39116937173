//! docs/reference/methods.md, from the protos: each method with its mapping to HTTP, its roles, its deadline and what its
//! request may contain.

use std::{borrow::Cow, fmt::Write, time::Duration};

use contracts::{POOL, contracts};
use jumun_core::contracts::{comment, option, path};
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor, Value};
use rpc::MethodTable;

use super::{ADMIN, cell, codes};
use crate::contexts;

const INTRODUCTION: &str = "\
# Methods

Every method: its mapping to HTTP, the roles that may call it, its deadline, and what its request may contain. A caller
may set a shorter deadline. Callers see and change what they own; `OPERATOR` and `SERVICE` see everything. Fields that
only answers have are left out. [openapi.json](openapi.json) describes the same for HTTP, answers included.
";

/// Messages within messages that are shown.
const MAX_DEPTH: usize = 4;
/// `google.api.FieldBehavior`.
const REQUIRED: i32 = 2;
const OUTPUT_ONLY: i32 = 3;
const VERBS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

pub(super) fn page() -> anyhow::Result<String> {
    let table = MethodTable::new(&contracts());
    let mut page = INTRODUCTION.to_owned();
    let contexts = contexts::names().into_iter().map(contexts::service_of).collect::<anyhow::Result<Vec<_>>>()?;
    for service in contexts.into_iter().chain(POOL.get_service_by_name(ADMIN)) {
        let about = comment(&service.parent_file(), service.path());
        write!(page, "\n## {}\n\n{about}\n", service.full_name())?;
        for method in service.methods() {
            add(&mut page, &method, table.at(&path(&method)).deadline)?;
        }
    }
    Ok(page)
}

fn add(page: &mut String, method: &MethodDescriptor, deadline: Duration) -> anyhow::Result<()> {
    let about = comment(&method.parent_file(), method.path());
    write!(page, "\n### {}\n\n{about}\n\n", method.name())?;
    for mapping in mappings(method) {
        writeln!(page, "- HTTP: `{mapping}`")?;
    }
    writeln!(page, "- callers: {}", callers(method))?;
    let stream = if method.is_server_streaming() { ", of the whole stream" } else { "" };
    writeln!(page, "- deadline: {deadline:?}{stream}")?;
    let mut fields = Vec::new();
    add_fields(&mut fields, "", &method.input(), MAX_DEPTH);
    if !fields.is_empty() {
        write!(page, "\n| field | type | limits |\n|---|---|---|\n{}", fields.concat())?;
    }
    Ok(())
}

/// `POST /v1/orders`, for each binding.
fn mappings(method: &MethodDescriptor) -> Vec<String> {
    let Some(Value::Message(http)) = option(method, "google.api.http") else { return Vec::new() };
    let more = http.get_field_by_name("additional_bindings").map(Cow::into_owned);
    let more = more.iter().filter_map(Value::as_list).flatten().filter_map(Value::as_message);
    std::iter::once(&http).chain(more).filter_map(mapping).collect()
}

fn mapping(rule: &DynamicMessage) -> Option<String> {
    let verb = VERBS.into_iter().find(|verb| rule.has_field_by_name(verb))?;
    Some(format!("{} {}", verb.to_uppercase(), rule.get_field_by_name(verb)?.as_str()?))
}

fn callers(method: &MethodDescriptor) -> String {
    let Some(Value::Message(access)) = option(method, contracts().access_option) else { return "none".to_owned() };
    let says = |name: &str| access.get_field_by_name(name).is_some_and(|value| value.as_bool() == Some(true));
    let roles = access.get_field_by_name("roles").map(Cow::into_owned);
    let numbers = roles.iter().filter_map(Value::as_list).flatten().filter_map(Value::as_enum_number);
    let names = contracts().roles.names;
    let named = numbers.filter_map(|number| names.iter().find(|(role, _)| i32::from(role.number()) == number));
    match (says("public"), says("authenticated")) {
        (true, _) => "everybody, without a token, too".to_owned(),
        (_, true) => "everybody with a valid token".to_owned(),
        _ => codes(named.map(|(_, name)| *name)),
    }
}

/// A row for each field that a request may have, with those of the messages in it.
fn add_fields(rows: &mut Vec<String>, prefix: &str, message: &MessageDescriptor, depth: usize) {
    for field in message.fields() {
        let behavior = behavior(&field);
        if behavior.contains(&OUTPUT_ONLY) {
            continue;
        }
        let name = format!("{prefix}{}{}", field.name(), if field.is_list() { "[]" } else { "" });
        let mut limits: Vec<_> = behavior.contains(&REQUIRED).then(|| "required".to_owned()).into_iter().collect();
        limits.extend(rules(&field).iter().flat_map(limits_of));
        limits.dedup();
        rows.push(format!("| `{name}` | {} | {} |\n", type_of(&field), cell(&limits.join("; "))));
        if let Some(inner) = field.kind().as_message().filter(|inner| !is_well_known(inner) && depth > 1) {
            add_fields(rows, &format!("{name}."), inner, depth - 1);
        }
    }
}

fn is_well_known(message: &MessageDescriptor) -> bool {
    message.package_name().starts_with("google.")
}

fn type_of(field: &FieldDescriptor) -> String {
    match field.kind() {
        Kind::Message(message) => message.name().to_owned(),
        Kind::Enum(values) => {
            let names: Vec<_> = values.values().skip(1).map(|value| value.name().to_owned()).collect();
            codes(names.iter().map(String::as_str))
        }
        scalar => format!("{scalar:?}").to_lowercase(),
    }
}

fn behavior(field: &FieldDescriptor) -> Vec<i32> {
    let values = extension(field, "google.api.field_behavior");
    values.iter().filter_map(Value::as_list).flatten().filter_map(Value::as_enum_number).collect()
}

fn rules(field: &FieldDescriptor) -> Option<DynamicMessage> {
    extension(field, "buf.validate.field")?.as_message().cloned()
}

fn extension(field: &FieldDescriptor, name: &str) -> Option<Value> {
    let extension = field.parent_message().parent_pool().get_extension_by_name(name)?;
    let options = field.options();
    options.has_extension(&extension).then(|| options.get_extension(&extension).into_owned())
}

/// What the rules say, e.g. `at most 256 bytes`.
fn limits_of(rules: &DynamicMessage) -> Vec<String> {
    rules.fields().flat_map(|(rule, value)| limit(rule.name(), value)).collect()
}

fn limit(rule: &str, value: &Value) -> Vec<String> {
    let text = match value {
        Value::Message(items) if rule == "items" => {
            return limits_of(items).into_iter().map(|limit| format!("each {limit}")).collect();
        }
        Value::Message(of_kind) => return limits_of(of_kind),
        Value::List(values) => codes(values.iter().filter_map(Value::as_str)),
        Value::String(text) => format!("`{text}`"),
        Value::Bool(true) => String::new(),
        number => number.to_string(),
    };
    let limit = match rule {
        "pattern" => format!("matches {text}"),
        "min_bytes" => format!("bytes ≥ {text}"),
        "max_bytes" => format!("bytes ≤ {text}"),
        "min_items" => format!("items ≥ {text}"),
        "max_items" => format!("items ≤ {text}"),
        "gte" => format!("≥ {text}"),
        "gt" => format!("> {text}"),
        "lte" => format!("≤ {text}"),
        "lt" => format!("< {text}"),
        "in" => format!("one of {text}"),
        "defined_only" => "one of these".to_owned(),
        "required" => "required".to_owned(),
        "ignore" => "may be empty".to_owned(),
        rule => format!("{rule} {text}"),
    };
    vec![limit]
}
