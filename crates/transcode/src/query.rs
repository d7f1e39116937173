//! Query parameters: fields of the request by their paths, e.g. `page_size=10`, `thing.reader=readers/mina`.

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value as Json};

use jumun_core::Violations;

use crate::{
    json::{entry, field_named},
    route::{Body, Route},
    template::decode,
};

/// Reads a query into a request, and notes what is wrong with it.
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

/// Puts a parameter into a request.
fn set(route: &Route, name: &str, text: &str, request: &mut Map<String, Json>) -> Result<(), String> {
    let fields = resolve(&route.method.input(), name)?;
    check_free(route, &fields)?;
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
        return Err("is given twice".to_owned());
    }
    object.insert(field.name().to_owned(), value);
    Ok(())
}

/// The fields that a path of names leads through.
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

/// A field is given in one place: by the path, by the body or by the query.
fn check_free(route: &Route, fields: &[FieldDescriptor]) -> Result<(), String> {
    let path = fields.iter().map(FieldDescriptor::name).collect::<Vec<_>>().join(".");
    if route.template.variables.iter().any(|variable| variable.field == path) {
        return Err("is given by the path".to_owned());
    }
    match &route.body {
        Body::Whole => Err("is given by the body, as everything else".to_owned()),
        Body::Field(field) if fields.first() == Some(field) => Err("is given by the body".to_owned()),
        Body::Field(_) | Body::None => Ok(()),
    }
}

/// A parameter's text as the JSON that stands for it.
fn json_of(field: &FieldDescriptor, text: &str) -> Result<Json, String> {
    if !in_query(field) {
        return Err("cannot be given in a query".to_owned());
    }
    Ok(scalar(&field.kind(), text))
}

/// Whether a parameter can say what the field is to be.
pub(crate) fn in_query(field: &FieldDescriptor) -> bool {
    match field.kind() {
        _ if field.is_map() => false,
        Kind::Message(message) => WRITTEN_AS_TEXT.contains(&message.full_name()),
        _ => true,
    }
}

/// Messages whose JSON is one word.
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

/// Text from a path or a query as JSON: most kinds may be written as strings there, too.
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
