//! Every request, however damaged, gets a proper answer from the listener. `make fuzz` tries for a minute each,
//! `cargo test` for a second.
//!
//! Inputs are drawn by proptest from the grammar of what is served and then damaged, and a failure is shrunk to its
//! smallest input. This runs on stable Rust with nothing installed. Coverage-guided fuzzers need a nightly compiler or
//! flags that would build SQLite, libpq and every other dependency once more; from random bytes they would have to find
//! what the OpenAPI document already describes.

use std::{
    env,
    time::{Duration, Instant},
};

use contracts::order::v1::ListOrdersRequest;
use http::{HeaderMap, Request, header};
use http_body_util::{BodyExt, Full};
use proptest::{
    prelude::*,
    sample::{Index, select},
    test_runner::{Config, TestRunner},
};
use serde_json::Value as Json;
use tonic::{Code, body::Body};
use tower::ServiceExt;

use super::{
    super::journeys::{Food, wish},
    client::order,
};

/// Inputs between two checks of the time.
const BATCH: u32 = 32;
/// How long a target runs, unless JUMUN_FUZZ_SECONDS is set.
const DEFAULT_SECONDS: u64 = 1;

/// Runs a target on inputs for a while; panics with the smallest input that fails.
fn look_for_a_while<S: Strategy>(strategy: &S, target: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let seconds = env::var("JUMUN_FUZZ_SECONDS").map_or(DEFAULT_SECONDS, |text| text.parse().expect("a number"));
    let (start, mut inputs) = (Instant::now(), 0);
    while start.elapsed() < Duration::from_secs(seconds) {
        let config = Config { cases: BATCH, failure_persistence: None, ..Config::default() };
        if let Err(failure) = TestRunner::new(config).run(strategy, &target) {
            panic!("{failure}");
        }
        inputs += BATCH;
    }
    eprintln!("{inputs} inputs in {:.0?} without a finding", start.elapsed());
}

/// Replaces some bytes of a text.
fn damaged(text: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let wounds = prop::collection::vec((any::<Index>(), 0..8_usize, scrap()), 0..3);
    (text, wounds).prop_map(|(mut text, wounds)| {
        for (index, length, scrap) in wounds {
            let places: Vec<_> = text.char_indices().map(|(place, _)| place).chain([text.len()]).collect();
            let start = index.index(places.len());
            let end = (start + length).min(places.len() - 1);
            text.replace_range(places[start]..places[end], &scrap);
        }
        text
    })
}

/// Fragments that are hard for parsers.
fn scrap() -> impl Strategy<Value = String> {
    let known = select(vec![
        "",
        "/",
        "//",
        ":",
        "::",
        "%",
        "%2F",
        "%FF",
        "%00",
        "..",
        "*",
        "{",
        "}",
        "[",
        "]",
        "\"",
        "\\",
        "\\u0000",
        "null",
        "true",
        "-1",
        "0",
        "1e999",
        "9223372036854775808",
        "NaN",
        "=",
        "==",
        "&",
        "&&",
        "+",
        "?",
        "#",
        ".",
        ",",
        " AND ",
        "\u{0}",
        "\u{FEFF}",
        "\u{1F35A}",
        "주문",
        "state",
        "name=",
        "\"@type\":",
        "'; --",
    ]);
    prop_oneof![4 => known.prop_map(str::to_owned), 1 => ".{0,12}"]
}

/// Every call that the process describes, e.g. `POST /v1/orders/{order}:cancel`, with the names of its parameters.
fn calls(document: &Json) -> Vec<(String, String, Vec<String>)> {
    let paths = document["paths"].as_object().expect("paths").iter();
    let operations = paths.flat_map(|(path, operations)| {
        let operations = operations.as_object().expect("operations").iter();
        operations.map(move |(verb, operation)| {
            let parameters = operation["parameters"].as_array().expect("parameters").iter();
            let names = parameters.filter(|each| each["in"] == "query").filter_map(|each| each["name"].as_str());
            (verb.to_uppercase(), path.clone(), names.map(str::to_owned).collect())
        })
    });
    operations.collect()
}

/// Requests that are nearly valid.
fn requests(document: &Json, uid: &str) -> impl Strategy<Value = (String, String, &'static str, String)> + use<> {
    let (ids, value) = (vec![uid.to_owned(), format!("order-{uid}"), "nobody".to_owned()], scrap());
    let call = select(calls(document)).prop_flat_map(move |(verb, path, names)| {
        let id = damaged(select(ids.clone()));
        let path = id.prop_map(move |id| match (path.find('{'), path.find('}')) {
            (Some(start), Some(end)) => path.replace(&path[start..=end], &id),
            _ => path.clone(),
        });
        let names = names.into_iter().chain(["name".to_owned(), "order.items".to_owned()]).collect::<Vec<_>>();
        let query =
            prop::collection::vec((damaged(select(names)), damaged(select(VALUES).prop_map(str::to_owned))), 0..4);
        let query = query.prop_map(|pairs| {
            pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
        });
        (Just(verb), damaged(path), query)
    });
    let verb =
        prop_oneof![8 => Just(None), 1 => select(vec!["GET", "HEAD", "POST", "PUT", "OPTIONS", "BREW"]).prop_map(Some)];
    let content_type = prop_oneof![
        8 => Just("application/json"),
        1 => select(vec!["", "text/plain", "application/grpc-web", "application/grpc-web-text", "application/grpc+json"]),
    ];
    let body = prop_oneof![2 => damaged(select(bodies())), 1 => json().prop_map(|json| json.to_string()), 1 => value];
    (call, verb, content_type, body).prop_map(|((asked, path, query), verb, content_type, body)| {
        (verb.map_or(asked, str::to_owned), format!("{path}?{query}"), content_type, body)
    })
}

const VALUES: &[&str] = &["1", "50", "first", "orders/a", "customer = \"customers/mina\" AND state = PLACED", "PLACED"];

fn bodies() -> Vec<String> {
    let action = r#"{"requestId": "first", "rider": "riders/joon", "names": ["deadLetters/store-1"]}"#;
    let payment = r#"{"payable": "orders/x", "amount": {"currencyCode": "KRW", "units": "5", "nanos": 0}, "paymentMethod": "tok_visa", "requestId": "a"}"#;
    vec![
        String::new(),
        "{}".to_owned(),
        action.to_owned(),
        payment.to_owned(),
        order("tok_visa"),
        order("tok_declined"),
    ]
}

/// Any JSON, with the names of real fields.
fn json() -> impl Strategy<Value = Json> {
    let names =
        select(vec!["name", "order", "items", "unitPrice", "units", "requestId", "request_id", "state", "total"]);
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        scrap().prop_map(Json::from),
    ];
    leaf.prop_recursive(6, 40, 6, move |inner| {
        let fields = prop::collection::vec((names.clone(), inner.clone()), 0..6);
        prop_oneof![
            prop::collection::vec(inner, 0..6).prop_map(Json::from),
            fields.prop_map(|fields| fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
        ]
    })
}

#[test]
fn every_request_is_answered_properly() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (food, document, uid) = runtime.block_on(async {
        let food = Food::open().await;
        let uid = food.place("first").await.uid;
        let request = Request::get("/openapi.json").body(Body::empty()).expect("a request");
        let document = food.cluster.listener().oneshot(request).await.expect("an answer").into_body();
        let document = document.collect().await.expect("a document").to_bytes();
        (food, serde_json::from_slice::<Json>(&document).expect("JSON"), uid)
    });
    look_for_a_while(&requests(&document, &uid), |(verb, target, content_type, body)| {
        let target = target
            .bytes()
            .map(|byte| if byte.is_ascii_graphic() { char::from(byte).to_string() } else { format!("%{byte:02X}") });
        let request = Request::builder().method(verb.as_str()).uri(target.collect::<String>());
        let request = request.header(header::CONTENT_TYPE, content_type).body(Body::new(Full::new(body.into())));
        // The listener rejects invalid URIs before the transcoder.
        let Ok(request) = request else { return Ok(()) };
        runtime.block_on(answered_properly(&food, request))
    });
    runtime.block_on(food.cluster.finish());
}

async fn answered_properly(food: &Food, request: Request<Body>) -> Result<(), TestCaseError> {
    let has_body = request.method() != "HEAD";
    let (parts, body) = food.cluster.listener().oneshot(request).await.expect("never fails").into_parts();
    let status = parts.status.as_u16();
    prop_assert!(status < 500, "it is answered with {status}");
    match content_type(&parts.headers) {
        "application/json" if has_body => {
            let bytes = body.collect().await.expect("a whole answer").to_bytes();
            let json: Json = serde_json::from_slice(&bytes).map_err(|error| TestCaseError::fail(error.to_string()))?;
            let is_status = json["code"].is_u64() && json["status"].is_string() && json["details"].is_array();
            prop_assert!(status == 200 || is_status, "{json} is no status");
        }
        // Streams may not end; they have tests of their own.
        "application/json" | "text/event-stream" => {}
        grpc if grpc.starts_with("application/grpc") => {}
        other => prop_assert!(matches!(status, 204 | 400 | 405), "{status} comes as {other:?}"),
    }
    Ok(())
}

fn content_type(headers: &HeaderMap) -> &str {
    headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

#[test]
fn a_page_token_or_a_filter_that_is_not_one_is_refused_by_its_name() {
    const FILTERS: [&str; 4] =
        ["", "state = PLACED", "customer = \"customers/mina\"", "customer = customers/mina AND state = PLACED"];
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let list = async |food: &Food, filter: &str, page_token: &str| {
        let request = ListOrdersRequest {
            page_size: 1,
            page_token: page_token.to_owned(),
            filter: filter.to_owned(),
            ..Default::default()
        };
        food.orders().list_orders(request).await.map(tonic::Response::into_inner)
    };
    let (food, tokens) = runtime.block_on(async {
        let food = Food::open().await;
        for request in ["first", "second", "third"] {
            food.order(request, &wish("tok_visa")).await.expect("an order");
        }
        let mut tokens = Vec::new();
        for filter in FILTERS {
            let page = list(&food, filter, "").await.expect("a page");
            let next = list(&food, filter, &page.next_page_token).await.expect("the next page");
            tokens.extend([page.next_page_token, next.next_page_token].map(|token| (filter.to_owned(), token)));
        }
        (food, tokens)
    });
    let filter = damaged(select(FILTERS.map(str::to_owned).to_vec()));
    let token =
        damaged(select(tokens.iter().map(|(_, token)| token.clone()).chain([String::new()]).collect::<Vec<_>>()));
    look_for_a_while(&(filter, token), |(filter, token)| {
        match runtime.block_on(list(&food, &filter, &token)) {
            Ok(page) => {
                prop_assert!(page.orders.len() <= 1);
                let given = token.is_empty() || tokens.contains(&(filter.clone(), token.clone()));
                prop_assert!(given, "a token of another filter is accepted");
            }
            Err(refusal) => {
                prop_assert_eq!(refusal.code(), Code::InvalidArgument);
                let fields = super::super::journeys::wrong_fields(&refusal);
                prop_assert!(
                    !fields.is_empty() && fields.iter().all(|field| field == "filter" || field == "page_token")
                );
            }
        }
        Ok(())
    });
    runtime.block_on(async {
        food.cluster.settle().await;
        food.cluster.finish().await;
    });
}
