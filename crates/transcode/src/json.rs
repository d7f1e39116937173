//! Messages as proto3 JSON, and what is wrong with JSON that is not the message it should be.

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value as Json};

use jumun_core::{Error, Violation};

/// How deep JSON may be nested.
const MAX_JSON_DEPTH: usize = 32;
/// Wrong fields that are noted; an answer names fewer.
const MAX_VIOLATIONS: usize = 50;
/// Characters that an answer says about one of them; it may quote what was sent.
const MAX_DESCRIPTION_LENGTH: usize = 200;
/// What the field of a violation is called when the whole body is wrong.
const BODY: &str = "body";

/// Reads a body; nothing is an empty object.
pub(crate) fn parse(body: &[u8]) -> Result<Json, Error> {
    if body.is_empty() {
        return Ok(Json::Object(Map::new()));
    }
    let json = serde_json::from_slice(body).map_err(|error| wrong_body(format!("is not JSON: {error}")))?;
    if is_deeper_than(&json, MAX_JSON_DEPTH) {
        return Err(wrong_body(format!("is nested deeper than {MAX_JSON_DEPTH}")));
    }
    Ok(json)
}

fn wrong_body(description: String) -> Error {
    Error::invalid(vec![Violation { field: BODY.to_owned(), description }])
}

fn is_deeper_than(json: &Json, depth: usize) -> bool {
    let deeper = |inner: &Json| depth == 0 || is_deeper_than(inner, depth - 1);
    match json {
        Json::Array(items) => items.iter().any(deeper),
        Json::Object(fields) => fields.values().any(deeper),
        _ => false,
    }
}

/// The field of a message that JSON may call by its JSON name or as the proto does.
pub(crate) fn field_named(message: &MessageDescriptor, name: &str) -> Option<FieldDescriptor> {
    message.get_field_by_json_name(name).or_else(|| message.get_field_by_name(name))
}

/// What an object holds for a field, under the name that the proto gives it.
pub(crate) fn entry<'a>(
    object: &'a mut Map<String, Json>,
    field: &FieldDescriptor,
    otherwise: impl FnOnce() -> Json,
) -> &'a mut Json {
    if !object.contains_key(field.name())
        && let Some(value) = object.remove(field.json_name())
    {
        object.insert(field.name().to_owned(), value);
    }
    object.entry(field.name()).or_insert_with(otherwise)
}

/// The message that JSON stands for, or everything that is wrong with it.
pub(crate) fn to_message(message: &MessageDescriptor, json: &Json) -> Result<DynamicMessage, Error> {
    DynamicMessage::deserialize(message.clone(), json).map_err(|error| {
        let mut violations = Vec::new();
        check_message(message, json, "", &mut violations);
        if violations.is_empty() {
            // Each field is right, but not together, e.g. two of a oneof.
            note(&mut violations, "", &error.to_string());
        }
        Error::invalid(violations)
    })
}

/// Notes each field that is wrong by itself.
fn check_message(message: &MessageDescriptor, json: &Json, path: &str, violations: &mut Vec<Violation>) {
    let Some(object) = json.as_object().filter(|_| !is_well_known(message)) else {
        if let Err(error) = DynamicMessage::deserialize(message.clone(), json) {
            note(violations, path, &error.to_string());
        }
        return;
    };
    for (name, value) in object {
        match field_named(message, name) {
            Some(field) => check_field(&field, value, &join(path, field.name()), violations),
            None => note(violations, &join(path, name), &format!("is not a field of {}", message.full_name())),
        }
    }
}

fn check_field(field: &FieldDescriptor, value: &Json, path: &str, violations: &mut Vec<Violation>) {
    match (field.kind(), value) {
        (_, Json::Null) => {}
        (Kind::Message(message), Json::Array(items)) if field.is_list() => {
            for (index, item) in items.iter().enumerate() {
                check_message(&message, item, &format!("{path}[{index}]"), violations);
            }
        }
        (_, Json::Array(items)) if field.is_list() => {
            for (index, item) in items.iter().enumerate() {
                check_alone(field, Json::Array(vec![item.clone()]), &format!("{path}[{index}]"), violations);
            }
        }
        (Kind::Message(message), value) if !field.is_list() && !field.is_map() => {
            check_message(&message, value, path, violations);
        }
        (_, value) => check_alone(field, value.clone(), path, violations),
    }
}

/// Notes what is wrong with a field when it is the only one.
fn check_alone(field: &FieldDescriptor, value: Json, path: &str, violations: &mut Vec<Violation>) {
    let object = Json::Object(Map::from_iter([(field.name().to_owned(), value)]));
    if let Err(error) = DynamicMessage::deserialize(field.parent_message().clone(), &object) {
        note(violations, path, &error.to_string());
    }
}

fn note(violations: &mut Vec<Violation>, path: &str, description: &str) {
    if violations.len() < MAX_VIOLATIONS {
        let cut = |text: &str| text.chars().take(MAX_DESCRIPTION_LENGTH).collect::<String>();
        let field = if path.is_empty() { BODY.to_owned() } else { cut(path) };
        violations.push(Violation { field, description: cut(description) });
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// Whether its JSON is not simply its fields.
pub(crate) fn is_well_known(message: &MessageDescriptor) -> bool {
    message.package_name() == "google.protobuf"
}

/// A message as canonical proto3 JSON, or the one field of it that is asked for.
pub(crate) fn of_message(message: &DynamicMessage, only: Option<&FieldDescriptor>) -> Result<Vec<u8>, Error> {
    let Some(field) = only else { return serde_json::to_vec(message).map_err(Error::internal) };
    let mut json = serde_json::to_value(message).map_err(Error::internal)?;
    let value = json.get_mut(field.json_name()).map(Json::take).unwrap_or_else(|| empty(field));
    serde_json::to_vec(&value).map_err(Error::internal)
}

/// What stands for a field that canonical JSON leaves out.
fn empty(field: &FieldDescriptor) -> Json {
    match field.kind() {
        _ if field.is_list() => Json::Array(Vec::new()),
        Kind::Message(_) => Json::Object(Map::new()),
        Kind::Bool => Json::Bool(false),
        Kind::String | Kind::Bytes => Json::from(""),
        Kind::Enum(kind) => kind.default_value().name().into(),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 | Kind::Uint64 | Kind::Fixed64 => Json::from("0"),
        _ => Json::from(0),
    }
}
