//! Generates the OpenAPI 3.1 document of gRPC services from their descriptors.

mod limits;
mod operation;
mod path;
mod schema;

use jumun_core::{Contracts, code::NAMES, contracts::comment};
use prost_reflect::DescriptorPool;
use serde_json::{Map, Value as Json, json};

use crate::route::Routes;
use operation::ERRORS;
use schema::Schemas;

const DESCRIPTION: &str = "Every method of the gRPC services, as google.api.http maps it. Field names may be in \
lowerCamelCase or as in the protos. `grpc-timeout` (e.g. `500m`, `2S`) sets how long the caller waits; \
`authorization`, `traceparent` and `x-` headers are forwarded to the call. Responses omit fields that have their \
default value.";

/// The info section of the document.
#[derive(Clone, Copy, Debug)]
pub struct About {
    /// Its title.
    pub title: &'static str,
    /// The version of the API.
    pub version: &'static str,
}

/// The document of these routes.
pub(crate) fn document(routes: &Routes, pool: &DescriptorPool, about: &About) -> Json {
    let ids = path::resource_ids(pool);
    let mut schemas = Schemas::default();
    let mut paths = Map::new();
    for route in routes.iter() {
        let path = path::Described::new(route, &ids);
        let operation = operation::describe(route, &path, &mut schemas);
        let operations = paths.entry(path.text).or_insert_with(|| json!({}));
        operations[route.verb.as_str().to_lowercase()] = operation;
    }
    json!({
        "openapi": "3.1.0",
        "info": {"title": about.title, "version": about.version, "description": DESCRIPTION},
        "tags": tags(routes),
        "paths": paths,
        "components": {"schemas": with_status(schemas.finish()), "responses": error_responses()},
    })
}

/// One tag for each service.
fn tags(routes: &Routes) -> Json {
    let mut tags = Map::new();
    for route in routes.iter() {
        let service = route.method.parent_service();
        let description = comment(&service.parent_file(), service.path());
        tags.insert(service.name().to_owned(), json!({"name": service.name(), "description": description}));
    }
    tags.into_iter().map(|(_, tag)| tag).collect()
}

/// The error responses, each with a Status as body.
fn error_responses() -> Json {
    let described = ERRORS.iter().map(|error| {
        let headers: Map<_, _> = error
            .header
            .iter()
            .map(|(name, what)| ((*name).to_owned(), json!({"description": what, "schema": {"type": "string"}})))
            .collect();
        let content = json!({"application/json": {"schema": {"$ref": "#/components/schemas/google.rpc.Status"}}});
        (error.http.to_string(), json!({"description": error.meaning, "headers": headers, "content": content}))
    });
    described.collect::<Map<_, _>>().into()
}

fn with_status(mut schemas: Map<String, Json>) -> Map<String, Json> {
    let status = json!({
        "type": "object",
        "description": "An error.",
        "required": ["code", "message", "status", "details"],
        "properties": {
            "code": {"type": "integer", "description": "The number of the google.rpc.Code.", "minimum": 1, "maximum": 16},
            "status": {"type": "string", "description": "Its name.", "enum": &NAMES[1..]},
            "message": {"type": "string", "description": "A description of the error for developers."},
            "details": {
                "type": "array",
                "description": "google.rpc.ErrorInfo with the reason, which is stable and meant for programs; \
                    BadRequest with each wrong field; RetryInfo if the request may be retried.",
                "items": {"type": "object", "required": ["@type"], "properties": {"@type": {"type": "string"}}},
            },
        },
    });
    schemas.insert("google.rpc.Status".to_owned(), status);
    schemas
}

/// The OpenAPI document of these gRPC services. Fails when a `google.api.http` annotation cannot be served.
pub fn describe(contracts: &Contracts, services: &[&str], about: &About) -> anyhow::Result<Json> {
    let served = contracts.methods().filter(|method| services.contains(&method.parent_service().full_name()));
    Ok(document(&Routes::new(served)?, &contracts.pool, about))
}
