//! Tables of requests, with the message or the wrong fields that each one results in.

use http::{HeaderName, Method, StatusCode};
use serde_json::json;

use super::*;
use crate::{
    everything::methods,
    json::of_message,
    route::{Found, Routes},
};

/// The routes of everything.proto.
fn everything() -> Routes {
    Routes::new(methods()).expect("routes")
}

async fn send(verb: &str, target: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Result<Json, ErrorResponse> {
    let mut request = http::Request::builder().method(verb).uri(target);
    for (name, value) in headers {
        request = request.header(name.parse::<HeaderName>().expect("a name"), *value);
    }
    let body = tonic::body::Body::new(http_body_util::Full::new(hyper::body::Bytes::from(body)));
    let (parts, body) = request.body(body).expect("a request").into_parts();
    check_target(&parts)?;
    let routes = everything();
    let Found::Call(route, captures) =
        routes.find(&Method::from_bytes(verb.as_bytes()).expect("a verb"), parts.uri.path())
    else {
        panic!("{verb} {target} is no call")
    };
    let message = read(route, captures, &parts, body).await?;
    let only = route.response_body.as_ref();
    Ok(serde_json::from_slice(&of_message(&message, only)?).expect("JSON"))
}

async fn send_json(verb: &str, target: &str, body: &str) -> Result<Json, ErrorResponse> {
    send(verb, target, &[("content-type", "application/json")], body.as_bytes().to_vec()).await
}

/// The fields that a refusal names.
fn wrong_fields(refusal: &ErrorResponse) -> Vec<String> {
    let json = refusal.to_json();
    let details = json["details"].as_array().expect("details").iter();
    let violations = details.filter_map(|detail| detail["fieldViolations"].as_array()).flatten();
    violations.map(|violation| violation["field"].as_str().expect("a field").to_owned()).collect()
}

#[tokio::test]
async fn parameters_are_fields_of_every_kind() {
    for (query, expected) in [
        ("", json!({})),
        ("flag=true&int32=-7&uint32=7&ratio=1.5", json!({"flag": true, "int32": -7, "uint32": 7, "ratio": 1.5})),
        ("bigNumber=9007199254740993", json!({"bigNumber": "9007199254740993"})),
        ("big_number=-1", json!({"bigNumber": "-1"})),
        ("color=RED", json!({"color": "RED"})),
        ("color=1&colors=RED&colors=1", json!({"color": "RED", "colors": ["RED", "RED"]})),
        ("words=a&words=b%26c&words=d+e", json!({"words": ["a", "b&c", "d e"]})),
        (
            "inner.name=x&inner.count=3&inner.deeper.name=y",
            json!({"inner": {"name": "x", "count": "3", "deeper": {"name": "y"}}}),
        ),
        ("data=AQI%3D", json!({"data": "AQI="})),
        ("time=2026-01-02T03:04:05Z", json!({"time": "2026-01-02T03:04:05Z"})),
        ("length=1.500s", json!({"length": "1.500s"})),
        ("updateMask=inner.name,bigNumber", json!({"updateMask": "inner.name,bigNumber"})),
        ("maybe=false", json!({"maybe": false})),
        ("name=%EC%A3%BC%EB%AC%B8&&left=", json!({"name": "주문", "left": ""})),
    ] {
        let read = send("GET", &format!("/v1/things?{query}"), &[], vec![]).await;
        assert_eq!(read.map_err(|refusal| refusal.to_json()), Ok(expected), "{query}");
    }
}

#[tokio::test]
async fn a_wrong_parameter_is_named() {
    for (query, expected) in [
        ("nobody=1", &["nobody"][..]),
        ("inner.nobody=1", &["inner.nobody"]),
        ("name.first=1", &["name.first"]),
        ("name=a&name=b", &["name"]),
        ("name=%FF", &["name"]),
        ("%FF=1", &["query"]),
        ("inner=x", &["inner"]),
        ("inners=x", &["inners"]),
        ("inners.name=x", &["inners.name"]),
        ("counts=x", &["counts"]),
        ("counts.a=1", &["counts.a"]),
        ("extra=x", &["extra"]),
        ("flag=1&int32=x&uint32=-1&bigNumber=9223372036854775808", &["big_number", "flag", "int32", "uint32"]),
        ("color=BLUE&colors=RED&colors=BLUE", &["color", "colors[1]"]),
        ("time=yesterday&length=1&maybe=1", &["length", "maybe", "time"]),
        ("left=a&right=b", &["body"]),
    ] {
        let refusal = send("GET", &format!("/v1/things?{query}"), &[], vec![]).await.expect_err(query);
        let mut fields = wrong_fields(&refusal);
        fields.sort();
        assert_eq!(fields, expected, "{query}: {}", refusal.to_json());
    }
}

#[tokio::test]
async fn path_body_and_query_make_one_message() {
    for (verb, target, body, expected) in [
        ("GET", "/v1/things/a%20b?flag=true", "", json!({"name": "things/a b", "flag": true})),
        ("GET", "/v1/numbers/7/things/a", "", json!({"int32": 7, "inner": {"name": "things/a"}})),
        ("POST", "/v1/things/a:act", "", json!({"name": "things/a"})),
        ("POST", "/v1/things/a:act", "{}", json!({"name": "things/a"})),
        (
            "POST",
            "/v1/things/a:act",
            r#"{"name": "things/a", "big_number": 5}"#,
            json!({"name": "things/a", "bigNumber": "5"}),
        ),
        (
            "POST",
            "/v1/things/a:act",
            r#"{"flag": null, "counts": {"a": 1}}"#,
            json!({"name": "things/a", "counts": {"a": 1}}),
        ),
        (
            "POST",
            "/v1/things/a:act",
            r#"{"extra": {"a": [1, null]}}"#,
            json!({"name": "things/a", "extra": {"a": [1.0, null]}}),
        ),
        ("PATCH", "/v1/things/a?update_mask=inner", r#"{"count": "5"}"#, json!({"name": "things/a", "count": "5"})),
        ("PATCH", "/v1/things/a", "", json!({"name": "things/a"})),
        (
            "REPORT",
            "/v1/files/a/b?flag=true",
            r#"["x", "y"]"#,
            json!({"name": "files/a/b", "flag": true, "words": ["x", "y"]}),
        ),
    ] {
        let read = send_json(verb, target, body).await;
        assert_eq!(read.map_err(|refusal| refusal.to_json()), Ok(expected), "{verb} {target} {body}");
    }
}

#[tokio::test]
async fn every_wrong_field_of_a_body_is_named_as_the_proto_does() {
    for (verb, target, body, expected) in [
        ("POST", "/v1/things/a:act", "{", &["body"][..]),
        ("POST", "/v1/things/a:act", "[]", &["body"]),
        ("POST", "/v1/things/a:act", "null", &["body"]),
        ("POST", "/v1/things/a:act", r#"{"name": "things/b"}"#, &["name"]),
        ("POST", "/v1/things/a:act", r#"{"left": "a", "right": "b"}"#, &["body"]),
        (
            "POST",
            "/v1/things/a:act",
            r#"{"bigNumber": "x", "nobody": 1, "flag": "yes"}"#,
            &["big_number", "flag", "nobody"],
        ),
        (
            "POST",
            "/v1/things/a:act",
            r#"{"inners": [{}, {"count": 1.5, "x": 1}]}"#,
            &["inners[1].count", "inners[1].x"],
        ),
        (
            "POST",
            "/v1/things/a:act",
            r#"{"words": ["a", 1], "inner": [], "inners": {}}"#,
            &["inner", "inners", "words[1]"],
        ),
        ("POST", "/v1/things/a:act", r#"{"counts": {"a": "x"}, "time": 1, "data": "?"}"#, &["counts", "data", "time"]),
        ("POST", "/v1/things/a:act?flag=true", "{}", &["flag"]),
        ("PATCH", "/v1/things/a", r#"{"name": 5}"#, &["inner.name"]),
        ("PATCH", "/v1/things/a", "[]", &["inner.name"]),
        ("PATCH", "/v1/things/a?inner.count=1", "{}", &["inner.count"]),
        ("GET", "/v1/things/a?name=things/a", "", &["name"]),
        ("GET", "/v1/things/%FF", "", &["name"]),
        ("GET", "/v1/numbers/x/things/a", "", &["int32"]),
    ] {
        let refusal = send_json(verb, target, body).await.expect_err(body);
        let mut fields = wrong_fields(&refusal);
        fields.sort();
        assert_eq!(fields, expected, "{verb} {target} {body}: {}", refusal.to_json());
    }
}

#[tokio::test]
async fn a_request_that_cannot_be_read_is_refused_with_its_http_status() {
    let json = ("content-type", "application/json");
    let too_long = format!("/v1/things?name={}", "a".repeat(8 * 1024));
    let nested = |depth: usize| format!(r#"{{"inner": {}{}}}"#, "[".repeat(depth), "]".repeat(depth));
    for (target, headers, body, expected) in [
        (
            "/v1/things/a:act",
            &[("content-type", "text/plain")][..],
            "{}".to_owned(),
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ),
        ("/v1/things/a:act", &[], "{}".to_owned(), StatusCode::UNSUPPORTED_MEDIA_TYPE),
        (
            "/v1/things/a:act",
            &[("content-type", "application/json; charset=latin1")],
            "{}".to_owned(),
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ),
        (
            "/v1/things/a:act",
            &[json, ("content-encoding", "gzip")],
            "{}".to_owned(),
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ),
        ("/v1/things/a:act", &[json], " ".repeat(MAX_REQUEST_BYTES + 1), StatusCode::PAYLOAD_TOO_LARGE),
        ("/v1/things/a:act", &[json], " ".repeat(MAX_REQUEST_BYTES), StatusCode::BAD_REQUEST),
        ("/v1/things/a:act", &[json], nested(33), StatusCode::BAD_REQUEST),
        ("/v1/things/a:act", &[json], nested(100_000), StatusCode::BAD_REQUEST),
        (&too_long, &[], String::new(), StatusCode::URI_TOO_LONG),
    ] {
        let verb = if target == too_long { "GET" } else { "POST" };
        let refusal = send(verb, target, headers, body.into_bytes()).await.expect_err("a refusal");
        assert_eq!(refusal.into_response().status(), expected, "{headers:?}");
    }
    let right =
        send("POST", "/v1/things/a:act", &[("content-type", "Application/JSON; charset=\"UTF-8\"")], b"{}".to_vec());
    assert!(right.await.is_ok());
}

#[tokio::test]
async fn a_refusal_names_a_bounded_number_of_fields_and_quotes_a_bounded_text() {
    let items = (0..1_000).map(|index| format!("{{\"{}{index}\": 1}}", "x".repeat(100))).collect::<Vec<_>>().join(",");
    let refusal =
        send_json("POST", "/v1/things/a:act", &format!("{{\"inners\": [{items}]}}")).await.expect_err("wrong");
    assert_eq!(wrong_fields(&refusal).len(), 16);
    let color = format!("{{\"color\": \"{}\"}}", "x".repeat(100_000));
    let refusal = send_json("POST", "/v1/things/a:act", &color).await.expect_err("wrong");
    assert!(refusal.to_json().to_string().len() < 1_000);
}
