//! Reads query parameters: request fields by their paths, e.g. `page_size=10`, `thing.reader=readers/mina`.

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value as Json};

use jumun_core::Violations;

use crate::{
    json::{entry, field_named},
    route::{Body, Route},
    template::decode,
};

/// Reads a query into a request, and adds a violation for each wrong parameter.
pub(crate) fn read(route: &Route, query: &str, request: &mut Map<String, Json>, violations: &mut Violations) {
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, text) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, text) = (name.replace('+', " "), text.replace('+', " "));
        let Some(name) = decode(&name) else {
            violations.add("query", "a parameter's name is not UTF-8");
            continue;
        };
        let read =
            decode(&text).ok_or_else(|| "is not UTF-8".to_owned()).and_then(|text| set(route, &name, &text, request));
        violations.take(name.into_owned(), read);
    }
}

/// Sets the field of a parameter in a request.
fn set(route: &Route, name: &str, text: &str, request: &mut Map<String, Json>) -> Result<(), String> {
    let fields = resolve(&route.method.input(), name)?;
    check_not_set(route, &fields)?;
    let Some((field, parents)) = fields.split_last() else { return Err("is not a field".to_owned()) };
    let mut object = request;
    for parent in parents {
        object = entry(object, parent, || Json::Object(Map::new())).as_object_mut().ok_or("is not a message")?;
    }
    let value = json_of(field, text)?;
    if field.is_list() {
        let list = entry(object, field, || Json::Array(Vec::new()));
        list.as_array_mut().ok_or("is not a list")?.push(value);
        return Ok(());
    }
    if object.contains_key(field.name()) {
        return Err("is set twice".to_owned());
    }
    object.insert(field.name().to_owned(), value);
    Ok(())
}

/// The fields along a field path.
fn resolve(message: &MessageDescriptor, path: &str) -> Result<Vec<FieldDescriptor>, String> {
    let (mut message, mut fields) = (Some(message.clone()), Vec::<FieldDescriptor>::new());
    for name in path.split('.') {
        let parent = message.ok_or("is not a field of the request")?;
        let field = field_named(&parent, name).ok_or_else(|| format!("is not a field of {}", parent.full_name()))?;
        message = field.kind().as_message().filter(|_| !field.is_list() && !field.is_map()).cloned();
        fields.push(field);
    }
    Ok(fields)
}

/// Fails if the path or the body sets the field: a field may be set by one of path, body and query only.
fn check_not_set(route: &Route, fields: &[FieldDescriptor]) -> Result<(), String> {
    let path = fields.iter().map(FieldDescriptor::name).collect::<Vec<_>>().join(".");
    if route.template.variables.iter().any(|variable| variable.field == path) {
        return Err("is set by the path".to_owned());
    }
    match &route.body {
        Body::Whole => Err("must be set in the body, like every field of this request".to_owned()),
        Body::Field(field) if fields.first() == Some(field) => Err("must be set in the body".to_owned()),
        Body::Field(_) | Body::None => Ok(()),
    }
}

/// The text of a parameter as JSON.
fn json_of(field: &FieldDescriptor, text: &str) -> Result<Json, String> {
    if !in_query(field) {
        return Err("cannot be set by a query parameter".to_owned());
    }
    Ok(scalar(&field.kind(), text))
}

/// Whether a query parameter can set the field.
pub(crate) fn in_query(field: &FieldDescriptor) -> bool {
    match field.kind() {
        _ if field.is_map() => false,
        Kind::Message(message) => WRITTEN_AS_TEXT.contains(&message.full_name()),
        _ => true,
    }
}

/// Messages whose JSON form is a scalar.
const WRITTEN_AS_TEXT: [&str; 12] = [
    "google.protobuf.Timestamp",
    "google.protobuf.Duration",
    "google.protobuf.FieldMask",
    "google.protobuf.BoolValue",
    "google.protobuf.BytesValue",
    "google.protobuf.DoubleValue",
    "google.protobuf.FloatValue",
    "google.protobuf.Int32Value",
    "google.protobuf.Int64Value",
    "google.protobuf.StringValue",
    "google.protobuf.UInt32Value",
    "google.protobuf.UInt64Value",
];

/// Text from a path or a query as JSON. Proto3 JSON accepts strings for most kinds; booleans and enum numbers are
/// converted.
pub(crate) fn scalar(kind: &Kind, text: &str) -> Json {
    let is_bool = |kind: &Kind| match kind {
        Kind::Bool => true,
        Kind::Message(message) => message.full_name() == "google.protobuf.BoolValue",
        _ => false,
    };
    match (kind, text) {
        (kind, "true") if is_bool(kind) => Json::Bool(true),
        (kind, "false") if is_bool(kind) => Json::Bool(false),
        (Kind::Enum(_), number) => number.parse::<i32>().map_or_else(|_| number.into(), Json::from),
        (_, text) => text.into(),
    }
}
