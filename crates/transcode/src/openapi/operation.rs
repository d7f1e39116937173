//! Describes one operation: its parameters, its request body and its responses.

use prost_reflect::{FieldDescriptor, MessageDescriptor};
use serde_json::{Map, Value as Json, json};

use jumun_core::contracts::comment;

use super::{
    limits::pattern_after,
    path::{Described, Parameter},
    schema::{Direction, Schemas, is_required},
};
use crate::{
    query::in_query,
    route::{Body, Route, field_at},
};

/// The depth of nested message fields that are described as query parameters.
const MAX_QUERY_DEPTH: usize = 3;

/// An error response.
pub(super) struct ErrorAnswer {
    pub(super) http: u16,
    pub(super) meaning: &'static str,
    /// Only operations with a request body have it.
    of_body: bool,
    pub(super) header: Option<(&'static str, &'static str)>,
}

const fn error(http: u16, meaning: &'static str) -> ErrorAnswer {
    ErrorAnswer { http, meaning, of_body: false, header: None }
}

const fn retryable(http: u16, meaning: &'static str) -> ErrorAnswer {
    ErrorAnswer { header: Some(("Retry-After", "Seconds until a retry may succeed.")), ..error(http, meaning) }
}

const fn of_body(http: u16, meaning: &'static str) -> ErrorAnswer {
    ErrorAnswer { of_body: true, ..error(http, meaning) }
}

/// Every error response that an operation can have.
pub(super) const ERRORS: &[ErrorAnswer] = &[
    error(
        400,
        "The request is invalid (INVALID_ARGUMENT, with each wrong field), or the present state does not permit it \
         (FAILED_PRECONDITION).",
    ),
    ErrorAnswer {
        header: Some(("WWW-Authenticate", "The authentication scheme.")),
        ..error(401, "The caller is not authenticated (UNAUTHENTICATED).")
    },
    error(403, "The caller is not permitted to do this (PERMISSION_DENIED)."),
    error(404, "The path or the resource does not exist (NOT_FOUND)."),
    ErrorAnswer {
        header: Some(("Allow", "The methods of this path.")),
        ..error(405, "The path does not support the method.")
    },
    of_body(408, "The body did not arrive in time."),
    error(409, "The resource exists already (ALREADY_EXISTS), or a concurrent change prevented the call (ABORTED)."),
    of_body(413, "The body is too large."),
    error(414, "The path and the query are too long."),
    of_body(415, "The body is not JSON, or it is compressed."),
    retryable(429, "A limit is exceeded (RESOURCE_EXHAUSTED)."),
    error(499, "The caller cancelled the request (CANCELLED)."),
    error(500, "A fault of the server (INTERNAL)."),
    error(501, "The server does not support the method (UNIMPLEMENTED)."),
    retryable(503, "Temporarily unavailable (UNAVAILABLE); retry with the same request id."),
    retryable(504, "The deadline passed (DEADLINE_EXCEEDED); the outcome is unknown."),
];

/// Describes a route.
pub(super) fn describe(route: &Route, path: &Described, schemas: &mut Schemas) -> Json {
    let service = route.method.parent_service();
    let description = comment(&route.method.parent_file(), route.method.path());
    let summary = description.split_inclusive(". ").next().unwrap_or_default().trim_end().to_owned();
    let mut operation = json!({
        "operationId": operation_id(route),
        "tags": [service.name()],
        "summary": summary,
        "description": description,
        "parameters": parameters(route, path, schemas),
        "responses": responses(route, schemas),
    });
    if let Some(body) = body(route, schemas) {
        operation["requestBody"] = body;
    }
    operation
}

/// The first of a method's routes is named after the method; the others add their number, from 2.
fn operation_id(route: &Route) -> String {
    let name = format!("{}_{}", route.method.parent_service().name(), route.method.name());
    if route.index == 0 { name } else { format!("{name}_{}", route.index + 1) }
}

fn parameters(route: &Route, path: &Described, schemas: &mut Schemas) -> Vec<Json> {
    let input = route.method.input();
    let in_path = path.parameters.iter().map(|parameter| {
        json!({"name": parameter.name, "in": "path", "required": true, "schema": part(&input, parameter, schemas)})
    });
    let mut parameters: Vec<_> = in_path.collect();
    if !matches!(route.body, Body::Whole) {
        add_query(route, &input, &[], schemas, &mut parameters);
    }
    parameters
}

/// The schema of a path parameter: a whole field, or the id in a resource name.
fn part(input: &MessageDescriptor, parameter: &Parameter, schemas: &mut Schemas) -> Json {
    let field = parameter.field.as_ref().and_then(|field| field_at(input, field).ok());
    match (&field, parameter.prefix.as_deref()) {
        (Some(field), Some("")) => schemas.field(field, Direction::Request),
        (Some(field), Some(prefix)) => match pattern_after(field, prefix) {
            Some(pattern) => json!({"type": "string", "pattern": pattern}),
            None => any_text(),
        },
        _ => any_text(),
    }
}

fn any_text() -> Json {
    json!({"type": "string", "minLength": 1})
}

fn add_query(
    route: &Route,
    message: &MessageDescriptor,
    parents: &[FieldDescriptor],
    schemas: &mut Schemas,
    parameters: &mut Vec<Json>,
) {
    for field in message.fields() {
        let path = [parents, std::slice::from_ref(&field)].concat();
        if in_path(route, &path) || matches!(&route.body, Body::Field(body) if path.first() == Some(body)) {
            continue;
        }
        if in_query(&field) {
            let name = path.iter().map(FieldDescriptor::json_name).collect::<Vec<_>>().join(".");
            let schema = schemas.field(&field, Direction::Request);
            let required = parents.is_empty() && is_required(&field);
            parameters.push(json!({"name": name, "in": "query", "required": required, "schema": schema}));
        } else if let Some(inner) = field.kind().as_message().filter(|_| !field.is_list() && !field.is_map())
            && path.len() < MAX_QUERY_DEPTH
        {
            add_query(route, inner, &path, schemas, parameters);
        }
    }
}

fn in_path(route: &Route, fields: &[FieldDescriptor]) -> bool {
    let path = fields.iter().map(FieldDescriptor::name).collect::<Vec<_>>().join(".");
    route.template.variables.iter().any(|variable| variable.field == path)
}

fn body(route: &Route, schemas: &mut Schemas) -> Option<Json> {
    let (schema, required) = match &route.body {
        Body::None => return None,
        Body::Field(field) => (schemas.field(field, Direction::Request), is_required(field)),
        Body::Whole => {
            let given = |field: &FieldDescriptor| in_path(route, std::slice::from_ref(field));
            let object = schemas.object(&route.method.input(), Direction::Request, given);
            let required = object.get("required").is_some();
            (object, required)
        }
    };
    Some(json!({"required": required, "content": {"application/json": {"schema": schema}}}))
}

fn responses(route: &Route, schemas: &mut Schemas) -> Json {
    let mut responses = Map::new();
    responses.insert("200".to_owned(), json!({"description": "Success.", "content": answer(route, schemas)}));
    for error in ERRORS.iter().filter(|error| !error.of_body || !matches!(route.body, Body::None)) {
        let reference = format!("#/components/responses/{}", error.http);
        responses.insert(error.http.to_string(), json!({"$ref": reference}));
    }
    responses.into()
}

fn answer(route: &Route, schemas: &mut Schemas) -> Json {
    let schema = match &route.response_body {
        Some(field) => schemas.field(field, Direction::Response),
        None => schemas.message(&route.method.output(), Direction::Response),
    };
    if !route.method.is_server_streaming() {
        return json!({"application/json": {"schema": schema}});
    }
    let event = json!({
        "type": "object",
        "description": "An event for each message; `event: error` with a google.rpc.Status if the stream fails; \
            `event: end` after the last message.",
        "required": ["data"],
        "properties": {
            "event": {"type": "string", "enum": ["error", "end"]},
            "data": {"type": "string", "contentMediaType": "application/json", "contentSchema": schema},
        },
    });
    let lines = json!({
        "type": "string",
        "description": "If requested by the Accept header: a line for each message; `{\"error\": …}` with a \
            google.rpc.Status if the stream fails.",
    });
    json!({
        "text/event-stream": {"schema": event},
        "application/x-ndjson": {"schema": lines, "x-item-schema": schema},
    })
}
