//! The OpenAPI 3.1 document of the services that a process serves, made from their descriptors.

mod limits;
mod operation;
mod path;
mod schema;

use serde_json::{Map, Value as Json, json};

use super::{answer::code_names, route::Routes};
use operation::ERRORS;
use schema::Schemas;

const DESCRIPTION: &str = "Every method of the gRPC services, as google.api.http maps it. Field names may be written in \
lowerCamelCase or as in the protos. `grpc-timeout` (e.g. `500m`, `2S`) says how long the caller waits; `authorization`, \
`traceparent` and `x-` headers go along with the call. Fields at their default are left out of answers.";

/// Describes every route.
pub(super) fn document(routes: &Routes) -> Json {
    let mut schemas = Schemas::default();
    let mut paths = Map::new();
    for route in routes.iter() {
        let path = path::Described::new(route);
        let operation = operation::describe(route, &path, &mut schemas);
        let operations = paths.entry(path.text).or_insert_with(|| json!({}));
        operations[route.verb.as_str().to_lowercase()] = operation;
    }
    json!({
        "openapi": "3.1.0",
        "info": {"title": "Jumun", "version": env!("CARGO_PKG_VERSION"), "description": DESCRIPTION},
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
        let comment = crate::descriptors::comment(&service.parent_file(), service.path());
        tags.insert(service.name().to_owned(), json!({"name": service.name(), "description": comment}));
    }
    tags.into_iter().map(|(_, tag)| tag).collect()
}

/// The answers that are errors, each of them a Status.
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
        "description": "Why a call was not answered as asked.",
        "required": ["code", "message", "status", "details"],
        "properties": {
            "code": {"type": "integer", "description": "The number of the google.rpc.Code.", "minimum": 1, "maximum": 16},
            "status": {"type": "string", "description": "Its name.", "enum": &code_names()[1..]},
            "message": {"type": "string", "description": "One sentence for a person."},
            "details": {
                "type": "array",
                "description": "google.rpc.ErrorInfo with a reason that a program can switch on, BadRequest with the fields that are wrong, RetryInfo where repeating helps.",
                "items": {"type": "object", "required": ["@type"], "properties": {"@type": {"type": "string"}}},
            },
        },
    });
    schemas.insert("google.rpc.Status".to_owned(), status);
    schemas
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written() -> Json {
        document(&Routes::new(&["jumun.order.v1.OrderService"]).expect("routes"))
    }

    #[test]
    fn a_document_describes_the_services_it_is_made_for_and_no_other() {
        let document = written();
        let paths: Vec<_> = document["paths"].as_object().expect("paths").keys().map(String::as_str).collect();
        let expected = ["/v1/orders", "/v1/orders/{order}", "/v1/orders/{order}:cancel", "/v1/orders/{order}:watch"];
        assert_eq!(paths, expected);
    }

    #[test]
    fn comments_behaviors_and_kinds_are_in_the_schemas() {
        let document = written();
        let schemas = &document["components"]["schemas"];
        let order = &schemas["jumun.order.v1.Order"];
        assert_eq!(order["properties"]["name"]["readOnly"], true);
        assert_eq!(order["properties"]["name"]["description"], "`orders/{uuid}`.");
        assert!(order.get("required").is_none(), "canonical JSON leaves defaults out: {order}");
        let input = &schemas["jumun.order.v1.Order-Input"];
        assert_eq!(input["required"], json!(["customer", "store", "items", "paymentMethod"]));
        assert_eq!(input["additionalProperties"], false);
        assert_eq!(schemas["google.type.Money"]["properties"]["units"]["type"], "string");
        let states = &schemas["jumun.order.v1.Order.State"]["enum"];
        assert!(states.as_array().expect("names").contains(&json!("PLACED")));
    }

    #[test]
    fn a_body_that_is_one_field_leaves_the_others_to_the_query() {
        let create = &written()["paths"]["/v1/orders"]["post"];
        assert_eq!(create["operationId"], "OrderService_CreateOrder");
        let parameters: Vec<_> =
            create["parameters"].as_array().expect("parameters").iter().map(|each| &each["name"]).collect();
        assert_eq!(parameters, ["requestId"]);
        let body = &create["requestBody"]["content"]["application/json"]["schema"];
        assert_eq!(body["$ref"], "#/components/schemas/jumun.order.v1.Order-Input");
    }

    #[test]
    fn what_the_path_says_is_not_asked_for_in_the_body() {
        let cancel = &written()["paths"]["/v1/orders/{order}:cancel"]["post"];
        let body = &cancel["requestBody"]["content"]["application/json"]["schema"]["properties"];
        assert_eq!(body.as_object().expect("properties").keys().collect::<Vec<_>>(), ["requestId"]);
    }

    #[test]
    fn streams_are_events_or_lines() {
        let watch = &written()["paths"]["/v1/orders/{order}:watch"]["get"]["responses"]["200"]["content"];
        assert_eq!(
            watch.as_object().expect("contents").keys().collect::<Vec<_>>(),
            ["application/x-ndjson", "text/event-stream"]
        );
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn check(json: &Json, document: &Json) {
            if let Some(reference) = json.get("$ref").and_then(Json::as_str) {
                let pointer = reference.strip_prefix('#').expect("a reference within");
                assert!(document.pointer(pointer).is_some(), "{reference}");
            }
            match json {
                Json::Object(fields) => fields.values().for_each(|inner| check(inner, document)),
                Json::Array(items) => items.iter().for_each(|inner| check(inner, document)),
                _ => {}
            }
        }
        let services: Vec<_> =
            crate::descriptors::POOL.services().map(|service| service.full_name().to_owned()).collect();
        let services: Vec<_> = services.iter().map(String::as_str).collect();
        let document = document(&Routes::new(&services).expect("routes"));
        check(&document, &document);
    }
}
