//! The contracts as the mechanism crates read them: methods with deadlines and access, roles, and the OpenAPI document.

use std::time::Duration;

use auth::{Access, AccessTable};
use contracts::{POOL, contracts, role};
use jumun_core::{
    Roles,
    contracts::{option, path},
};
use prost_reflect::Value;
use rpc::{MAX_CALL, MAX_STREAM, MethodTable};
use serde_json::{Value as Json, json};
use transcode::{About, describe};

const ABOUT: About = About { title: "Jumun", version: "0.0.0" };

fn methods() -> MethodTable {
    MethodTable::new(&contracts())
}

#[test]
fn a_method_has_the_deadline_that_its_contract_declares() {
    let methods = methods();
    let create = methods.at("/jumun.order.v1.OrderService/CreateOrder");
    assert_eq!(
        (create.name.as_str(), create.deadline),
        ("jumun.order.v1.OrderService/CreateOrder", Duration::from_secs(4))
    );
    assert_eq!(methods.at("/jumun.order.v1.OrderService/GetOrder").deadline, Duration::from_secs(2));
    assert_eq!(methods.at("/jumun.bench.v1.BenchService/Echo").deadline, MAX_CALL, "where nothing is declared");
}

#[test]
fn a_deadline_is_the_callers_unless_it_is_longer_than_the_methods() {
    let methods = methods();
    let create = methods.at("/jumun.order.v1.OrderService/CreateOrder");
    for (asked, given) in [(None, 4000), (Some(200), 200), (Some(4000), 4000), (Some(60_000), 4000)] {
        assert_eq!(create.timeout(asked.map(Duration::from_millis)), Duration::from_millis(given), "{asked:?}");
    }
}

#[test]
fn a_stream_begins_within_a_calls_time_and_goes_on_longer() {
    let methods = methods();
    let watch = methods.at("/jumun.order.v1.OrderService/WatchOrder");
    assert!(watch.is_stream);
    assert_eq!((watch.timeout(None), watch.deadline), (MAX_CALL, MAX_STREAM));
}

#[test]
fn every_call_between_contexts_ends_before_its_callers_time_is_up() {
    for method in methods().iter().filter(|method| !method.is_stream) {
        assert!(method.deadline <= MAX_CALL, "{}", method.name);
    }
    let [create, authorize] = ["order.v1.OrderService/CreateOrder", "payment.v1.PaymentService/AuthorizePayment"]
        .map(|name| methods().at(&format!("/jumun.{name}")).deadline);
    assert!(authorize < create);
}

#[test]
fn health_reflection_and_admin_service_are_essential_and_an_unknown_path_is_not() {
    for path in ["/grpc.health.v1.Health/Check", "/jumun.admin.v1.AdminService/ListDeadLetters"] {
        assert!(methods().at(path).is_essential, "{path}");
    }
    let methods = methods();
    let other = methods.at("/no.such.Service/Method");
    assert!(!other.is_essential && other.name == "_OTHER");
}

#[test]
fn access_is_what_a_method_declares() {
    let table = AccessTable::of_services(&contracts(), &["jumun.order.v1.OrderService", "jumun.bench.v1.BenchService"]);
    let table = table.expect("every method declares it");
    let only = Roles::of(&[role::CUSTOMER, role::OPERATOR]);
    assert_eq!(table.of_path("/jumun.order.v1.OrderService/CreateOrder"), Some(Access::Only(only)));
    assert_eq!(table.of_path("/jumun.bench.v1.BenchService/Echo"), Some(Access::Authenticated));
    assert_eq!(table.of_path("/grpc.health.v1.Health/Check"), Some(Access::Public));
    for unknown in ["", "/", "/jumun.order.v1.OrderService/", "/jumun.payment.v1.PaymentService/GetPayment"] {
        assert_eq!(table.of_path(unknown), None, "{unknown}");
    }
}

fn document() -> Json {
    describe(&contracts(), &["jumun.order.v1.OrderService"], &ABOUT).expect("routes")
}

#[test]
fn a_document_describes_its_services_and_no_others() {
    let document = document();
    let paths: Vec<_> = document["paths"].as_object().expect("paths").keys().map(String::as_str).collect();
    let expected = ["/v1/orders", "/v1/orders/{order}", "/v1/orders/{order}:cancel", "/v1/orders/{order}:watch"];
    assert_eq!(paths, expected);
}

#[test]
fn comments_behaviors_and_kinds_are_in_the_schemas() {
    let document = document();
    let schemas = &document["components"]["schemas"];
    let order = &schemas["jumun.order.v1.Order"];
    assert_eq!(order["properties"]["name"]["readOnly"], true);
    assert_eq!(order["properties"]["name"]["description"], "The name of the order. Format: `orders/{uuid}`.");
    assert!(order.get("required").is_none(), "canonical JSON leaves defaults out: {order}");
    let input = &schemas["jumun.order.v1.Order-Input"];
    assert_eq!(input["required"], json!(["customer", "store", "items", "paymentMethod"]));
    assert_eq!(input["additionalProperties"], false);
    assert_eq!(schemas["google.type.Money"]["properties"]["units"]["type"], "string");
    let states = &schemas["jumun.order.v1.Order.State"]["enum"];
    assert!(states.as_array().expect("names").contains(&json!("PLACED")));
}

#[test]
fn when_the_body_is_one_field_the_others_are_query_parameters() {
    let create = &document()["paths"]["/v1/orders"]["post"];
    assert_eq!(create["operationId"], "OrderService_CreateOrder");
    let parameters: Vec<_> =
        create["parameters"].as_array().expect("parameters").iter().map(|each| &each["name"]).collect();
    assert_eq!(parameters, ["requestId"]);
    let body = &create["requestBody"]["content"]["application/json"]["schema"];
    assert_eq!(body["$ref"], "#/components/schemas/jumun.order.v1.Order-Input");
}

#[test]
fn fields_of_the_path_are_not_in_the_body() {
    let cancel = &document()["paths"]["/v1/orders/{order}:cancel"]["post"];
    let body = &cancel["requestBody"]["content"]["application/json"]["schema"]["properties"];
    assert_eq!(body.as_object().expect("properties").keys().collect::<Vec<_>>(), ["requestId"]);
}

#[test]
fn streams_are_server_sent_events_or_ndjson() {
    let watch = &document()["paths"]["/v1/orders/{order}:watch"]["get"]["responses"]["200"]["content"];
    assert_eq!(
        watch.as_object().expect("contents").keys().collect::<Vec<_>>(),
        ["application/x-ndjson", "text/event-stream"]
    );
}

#[test]
fn every_reference_has_a_target() {
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
    let services: Vec<_> = POOL.services().map(|service| service.full_name().to_owned()).collect();
    let services: Vec<_> = services.iter().map(String::as_str).collect();
    let document = describe(&contracts(), &services, &ABOUT).expect("routes");
    check(&document, &document);
}

#[test]
fn options_survive_the_build() {
    let create = contracts().methods().find(|method| path(method) == "/jumun.order.v1.OrderService/CreateOrder");
    let http = create.and_then(|method| option(&method, "google.api.http"));
    let rule = http.as_ref().and_then(Value::as_message).expect("an annotation");
    assert_eq!(rule.get_field_by_name("body").as_deref().and_then(Value::as_str), Some("order"));
}

#[test]
fn roles_are_those_of_the_contract() {
    let declared = POOL.get_enum_by_name("jumun.options.v1.Role").expect("the contract");
    let declared: Vec<_> = declared.values().map(|value| (value.number(), value.name().to_owned())).collect();
    let known = role::ROLES.names.iter().map(|(role, name)| (i32::from(role.number()), (*name).to_owned()));
    assert_eq!(declared, [(0, "ROLE_UNSPECIFIED".to_owned())].into_iter().chain(known).collect::<Vec<_>>());
    for (role, _) in role::ROLES.names {
        assert_eq!(role::ROLES.parse(&role::ROLES.claim(*role)), Ok(*role));
    }
    assert!(role::ROLES.parse("CUSTOMER").is_err() && role::ROLES.parse("root").is_err());
}
