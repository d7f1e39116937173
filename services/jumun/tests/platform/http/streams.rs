//! Streams over HTTP/JSON: server-sent events, and one document per line with `Accept: application/x-ndjson`.

use std::time::Duration;

use serde_json::Value as Json;

use super::{
    super::journeys::wish,
    client::{Http, until},
};

const LINES: (&str, &str) = ("accept", "application/x-ndjson");

#[tokio::test]
async fn events_follow_an_order_to_its_end_and_then_say_so() {
    let http = Http::open().await;
    let order = http.food.place("first").await.name;
    let (parts, mut events) = http.begin(&format!("GET /v1/{order}:watch"), &[], "").await.into_parts();
    assert_eq!((parts.status.as_u16(), &parts.headers["cache-control"]), (200, &"no-store".parse().expect("a value")));
    let placed = until(&mut events, "\n\n").await;
    assert!(placed.starts_with("data: {") && placed.contains(r#""state":"PLACED""#), "{placed}");
    http.food.cancel(&order).await.expect("not cooking");
    let rest = until(&mut events, "\u{0}").await;
    assert!(rest.contains(r#""state":"CANCELLED""#) && rest.ends_with("event: end\ndata: {}\n\n"), "{rest}");
    http.close().await;
}

#[tokio::test]
async fn lines_are_documents() {
    let http = Http::open().await;
    let order = http.food.place("first").await.name;
    http.food.cancel(&order).await.expect("not cooking");
    let (parts, mut body) = http.begin(&format!("GET /v1/{order}:watch"), &[LINES], "").await.into_parts();
    assert_eq!(parts.headers["content-type"], "application/x-ndjson");
    let lines = until(&mut body, "\u{0}").await;
    let states: Vec<_> =
        lines.lines().map(|line| serde_json::from_str::<Json>(line).expect("JSON")["state"].clone()).collect();
    assert_eq!(states, ["CANCELLED"]);
    http.close().await;
}

#[tokio::test]
async fn a_stream_that_cannot_begin_is_an_error() {
    let http = Http::open().await;
    let answer = http.call("GET /v1/orders/nobody:watch", "").await;
    assert_eq!((answer.status, answer.header("content-type")), (404, "application/json"));
    http.close().await;
}

#[tokio::test]
async fn a_deadline_ends_a_stream_with_an_error_event() {
    let http = Http::open().await;
    let deadline = ("grpc-timeout", "100m");
    let mut events = http.begin("GET /v1/views:watch", &[deadline], "").await.into_body();
    let text = until(&mut events, "\u{0}").await;
    assert!(text.starts_with("event: error\ndata: {") && text.contains("DEADLINE_EXCEEDED"), "{text}");
    let mut lines = http.begin("GET /v1/views:watch", &[deadline, LINES], "").await.into_body();
    let line: Json = serde_json::from_str(&until(&mut lines, "\u{0}").await).expect("JSON");
    assert_eq!(line["error"]["status"], "DEADLINE_EXCEEDED");
    http.close().await;
}

/// At most 1,000 streams may watch: if ended ones still counted, the last could not watch.
#[tokio::test]
async fn a_client_that_goes_away_ends_its_stream() {
    let http = Http::open().await;
    for _ in 0..1_000 {
        drop(http.begin("GET /v1/views:watch", &[("connection", "close")], "").await);
    }
    let start = std::time::Instant::now();
    while http.begin("GET /v1/views:watch", &[], "").await.status() != 200 {
        assert!(start.elapsed() < Duration::from_secs(10), "the ended streams still count");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    http.food.order("first", &wish("tok_visa")).await.expect("an order");
    http.close().await;
}
