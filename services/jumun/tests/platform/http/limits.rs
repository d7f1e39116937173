//! Requests that are too large or not JSON, over a real connection.

use super::client::{Http, order};
use rpc::MAX_REQUEST_BYTES;

const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn what_is_too_large_or_not_json_is_refused_and_the_next_request_is_served() {
    let http = Http::open().await;
    let nested = format!(r#"{{"items": {}{}}}"#, "[".repeat(1_000), "]".repeat(1_000));
    let long = format!("GET /v1/orders?filter={}", "a".repeat(10_000));
    let create = "POST /v1/orders?request_id=first";
    for (call, headers, body, status, reason) in [
        (create, &[JSON][..], " ".repeat(MAX_REQUEST_BYTES + 1), 413, "BODY_TOO_LARGE"),
        (create, &[JSON], nested, 400, "INVALID_ARGUMENT"),
        (create, &[JSON, ("content-encoding", "gzip")], "{}".to_owned(), 415, "UNSUPPORTED_MEDIA_TYPE"),
        (
            create,
            &[("content-type", "application/x-www-form-urlencoded")],
            "a=b".to_owned(),
            415,
            "UNSUPPORTED_MEDIA_TYPE",
        ),
        (create, &[], order("tok_visa"), 415, "UNSUPPORTED_MEDIA_TYPE"),
        (&long, &[], String::new(), 414, "TARGET_TOO_LONG"),
    ] {
        let answer = http.send(call, headers, body).await;
        assert_eq!((answer.status, answer.reason()), (status, reason), "{call} {headers:?}");
    }
    http.succeed(create, &order("tok_visa")).await;
    http.close().await;
}
