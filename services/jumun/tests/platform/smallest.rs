//! The smallest request that a method's contract allows: for methods that a test knows nothing else about.

use proptest::{
    strategy::{Strategy, ValueTree},
    string::string_regex,
    test_runner::TestRunner,
};
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor, Value};
use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

/// `google.api.FieldBehavior.OUTPUT_ONLY`.
const OUTPUT_ONLY: i32 = 3;

/// The request in JSON, with the field names of the proto. `name_of` gives a resource name for a collection.
pub(crate) fn smallest(method: &MethodDescriptor, name_of: impl Fn(&str) -> String) -> Json {
    let mut request = message(&method.input());
    if let Some(collection) = collection(method) {
        request.insert("name".to_owned(), name_of(&collection).into());
    }
    if method.input().get_field_by_name("request_id").is_some() {
        request.insert("request_id".to_owned(), Uuid::now_v7().to_string().into());
    }
    request.into()
}

/// The collection of the one resource that a method acts on: `tickets` of `/v1/{name=tickets/*}:accept`.
pub(crate) fn collection(method: &MethodDescriptor) -> Option<String> {
    let rule = jumun_core::contracts::option(method, "google.api.http")?;
    let paths: Vec<_> = rule.as_message()?.fields().filter_map(|(_, path)| Some(path.as_str()?.to_owned())).collect();
    paths.iter().find_map(|path| Some(path.split_once("{name=")?.1.split_once("/*}")?.0.to_owned()))
}

fn message(descriptor: &MessageDescriptor) -> Map<String, Json> {
    descriptor.fields().filter_map(|field| Some((field.name().to_owned(), needed(&field)?))).collect()
}

/// The value that a field must have; None: it may be left out.
fn needed(field: &FieldDescriptor) -> Option<Json> {
    let behaviors = extension(field, "google.api.field_behavior")?;
    let is_output = |list: &[Value]| list.iter().any(|behavior| behavior.as_enum_number() == Some(OUTPUT_ONLY));
    if behaviors.as_list().is_some_and(is_output) {
        return None;
    }
    let rules = extension(field, "buf.validate.field")?;
    let rules = rules.as_message()?;
    if number(rules, "ignore").is_some() {
        return None;
    }
    if let Some(list) = part(rules, "repeated") {
        let items = part(&list, "items").and_then(|items| scalar(&items));
        let item = items.or_else(|| Some(message(field.kind().as_message()?).into()));
        let count = number(&list, "min_items").unwrap_or_default();
        return (count > 0).then(|| (0..count).map(|_| item.clone().unwrap_or_default()).collect());
    }
    match field.kind() {
        Kind::Message(inner) => rules.get_field_by_name("required")?.as_bool()?.then(|| message(&inner).into()),
        _ => scalar(rules),
    }
}

fn scalar(rules: &DynamicMessage) -> Option<Json> {
    if let Some(text) = part(rules, "string") {
        let among =
            text.get_field_by_name("in").and_then(|among| among.as_list()?.first()?.as_str().map(str::to_owned));
        let pattern = text.get_field_by_name("pattern").and_then(|pattern| pattern.as_str().map(str::to_owned));
        let matching = pattern.filter(|pattern| !pattern.is_empty()).map(|pattern| drawn(&pattern));
        let least = ["min_bytes", "min_len"].iter().find_map(|rule| number(&text, rule)).unwrap_or_default();
        return among.or(matching).or((least > 0).then(|| "x".repeat(least))).map(Json::from);
    }
    let range = ["int32", "int64"].iter().find_map(|kind| part(rules, kind))?;
    let least = number(&range, "gte").or_else(|| Some(number(&range, "gt")? + 1))?;
    (least > 0).then(|| json!(least))
}

/// A text that matches the pattern, always the same.
fn drawn(pattern: &str) -> String {
    let bare = pattern.trim_start_matches('^').trim_end_matches('$');
    let texts = string_regex(bare).expect("a pattern that proptest knows");
    texts.new_tree(&mut TestRunner::deterministic()).expect("a text").current()
}

fn extension(field: &FieldDescriptor, name: &str) -> Option<Value> {
    let extension = field.parent_message().parent_pool().get_extension_by_name(name)?;
    Some(field.options().get_extension(&extension).into_owned())
}

fn part(rules: &DynamicMessage, name: &str) -> Option<DynamicMessage> {
    rules.has_field_by_name(name).then(|| rules.get_field_by_name(name)?.as_message().cloned())?
}

/// A rule that is a number and not zero.
fn number(rules: &DynamicMessage, name: &str) -> Option<usize> {
    let value = rules.has_field_by_name(name).then(|| rules.get_field_by_name(name))??;
    let numbers = [value.as_u64(), value.as_i64().and_then(|it| it.try_into().ok())];
    let small = [value.as_i32().or_else(|| value.as_enum_number()).and_then(|it| it.try_into().ok())];
    numbers.into_iter().chain(small).flatten().next().and_then(|number| usize::try_from(number).ok())
}
