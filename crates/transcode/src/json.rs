//! Converts messages from and to proto3 JSON, and reports every field of JSON that is wrong.

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value as Json};

use jumun_core::{Error, Violation};

/// The depth to which JSON may be nested.
const MAX_JSON_DEPTH: usize = 32;
/// Violations that are collected; a response names fewer.
const MAX_VIOLATIONS: usize = 50;
/// The length of a violation's description (characters), which may quote the request.
const MAX_DESCRIPTION_LENGTH: usize = 200;
/// The field of a violation that is about the whole body.
const BODY: &str = "body";

/// Parses a body as JSON. An empty body is an empty object.
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

/// The field with this name, which may be its JSON name or its name in the proto.
pub(crate) fn field_named(message: &MessageDescriptor, name: &str) -> Option<FieldDescriptor> {
    message.get_field_by_json_name(name).or_else(|| message.get_field_by_name(name))
}

/// The value of a field in an object, under the field's name in the proto; if it is absent, `otherwise` is inserted.
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

/// Converts JSON to a message. Fails with INVALID_ARGUMENT and a violation for each wrong field.
pub(crate) fn to_message(message: &MessageDescriptor, json: &Json) -> Result<DynamicMessage, Error> {
    DynamicMessage::deserialize(message.clone(), json).map_err(|error| {
        let mut violations = Vec::new();
        check_message(message, json, "", &mut violations);
        if violations.is_empty() {
            // Each field is valid, but not the combination, e.g. two fields of a oneof.
            add(&mut violations, "", &error.to_string());
        }
        Error::invalid(violations)
    })
}

/// Adds a violation for each field that is wrong by itself.
fn check_message(message: &MessageDescriptor, json: &Json, path: &str, violations: &mut Vec<Violation>) {
    let Some(object) = json.as_object().filter(|_| !is_well_known(message)) else {
        if let Err(error) = DynamicMessage::deserialize(message.clone(), json) {
            add(violations, path, &error.to_string());
        }
        return;
    };
    for (name, value) in object {
        match field_named(message, name) {
            Some(field) => check_field(&field, value, &join(path, field.name()), violations),
            None => add(violations, &join(path, name), &format!("is not a field of {}", message.full_name())),
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

/// Adds a violation if the message cannot be read with this field alone.
fn check_alone(field: &FieldDescriptor, value: Json, path: &str, violations: &mut Vec<Violation>) {
    let object = Json::Object(Map::from_iter([(field.name().to_owned(), value)]));
    if let Err(error) = DynamicMessage::deserialize(field.parent_message().clone(), &object) {
        add(violations, path, &error.to_string());
    }
}

fn add(violations: &mut Vec<Violation>, path: &str, description: &str) {
    if violations.len() < MAX_VIOLATIONS {
        let cut = |text: &str| text.chars().take(MAX_DESCRIPTION_LENGTH).collect::<String>();
        let field = if path.is_empty() { BODY.to_owned() } else { cut(path) };
        violations.push(Violation { field, description: cut(description) });
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// Whether the message has a JSON form of its own.
pub(crate) fn is_well_known(message: &MessageDescriptor) -> bool {
    message.package_name() == "google.protobuf"
}

/// Converts a message, or only one field of it, to canonical proto3 JSON.
pub(crate) fn of_message(message: &DynamicMessage, only: Option<&FieldDescriptor>) -> Result<Vec<u8>, Error> {
    let Some(field) = only else { return serde_json::to_vec(message).map_err(Error::internal) };
    let mut json = serde_json::to_value(message).map_err(Error::internal)?;
    let value = json.get_mut(field.json_name()).map(Json::take).unwrap_or_else(|| empty(field));
    serde_json::to_vec(&value).map_err(Error::internal)
}

/// The JSON of a field at its default, which canonical JSON leaves out.
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
