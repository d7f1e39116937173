//! HTTP/JSON as clients see it: answers, errors, headers.

use serde_json::json;

use super::client::{Http, order};

#[tokio::test]
async fn an_order_is_placed_read_listed_and_cancelled() {
    let http = Http::open().await;
    let placed = http.succeed("POST /v1/orders?request_id=first", &order("tok_visa")).await;
    assert_eq!((&placed["state"], &placed["total"]["units"]), (&json!("PLACED"), &json!("19000")));
    let name = placed["name"].as_str().expect("a name");
    http.food.cluster.settle().await;
    assert_eq!(http.succeed(&format!("GET /v1/{name}"), "").await["name"], placed["name"]);
    let listed = http.succeed("GET /v1/orders?filter=state%20%3D%20PLACED", "").await;
    assert_eq!(listed["orders"][0]["name"], placed["name"]);
    // An empty body may be left out.
    assert_eq!(http.succeed(&format!("POST /v1/{name}:cancel"), "").await["state"], "CANCELLED");
    http.close().await;
}

#[tokio::test]
async fn a_repeated_request_is_marked() {
    let http = Http::open().await;
    let name = http.succeed("POST /v1/orders?request_id=first", &order("tok_visa")).await["name"].clone();
    http.food.cluster.settle().await;
    let cancel = format!("POST /v1/{}:cancel", name.as_str().expect("a name"));
    let body = r#"{"requestId": "once"}"#;
    let (first, second) = (http.call(&cancel, body).await, http.call(&cancel, body).await);
    assert_eq!((first.header("idempotency-replayed"), second.header("idempotency-replayed")), ("", "true"));
    assert_eq!(first.json, second.json);
    http.close().await;
}

#[tokio::test]
async fn errors_are_statuses_with_the_http_status_that_belongs_to_them() {
    let http = Http::open().await;
    let declined = order("tok_declined");
    let unsure = order("tok_error");
    for (call, body, http_status, status, reason) in [
        ("GET /v1/orders/nobody", "", 404, "NOT_FOUND", "NOT_FOUND"),
        ("GET /v1/orders/NOBODY", "", 400, "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
        ("GET /v1/nothing", "", 404, "NOT_FOUND", "NOT_FOUND"),
        ("GET /", "", 404, "NOT_FOUND", "NOT_FOUND"),
        ("POST /jumun.order.v1.OrderService/GetOrder", "{}", 404, "NOT_FOUND", "NOT_FOUND"),
        ("DELETE /v1/orders", "", 405, "INVALID_ARGUMENT", "METHOD_NOT_ALLOWED"),
        ("POST /v1/orders?request_id=declined", &declined, 400, "FAILED_PRECONDITION", "PAYMENT_DECLINED"),
        ("POST /v1/orders?request_id=unsure", &unsure, 503, "UNAVAILABLE", "PAYMENT_UNAVAILABLE"),
    ] {
        let answer = http.call(call, body).await;
        let said = (answer.status, answer.json["status"].as_str().unwrap_or_default(), answer.reason());
        assert_eq!(said, (http_status, status, reason), "{call}: {:?}", answer.json);
        assert_eq!(answer.header("content-type"), "application/json", "{call}");
        assert_eq!(answer.header("retry-after").is_empty(), http_status != 503, "{call}");
    }
    http.food.cluster.advance(std::time::Duration::from_secs(6)).await;
    http.close().await;
}

#[tokio::test]
async fn a_wrong_request_names_every_field_that_is_wrong() {
    let http = Http::open().await;
    let wrong =
        order("4242424242424242").replace("customers/mina", "mina").replace("\"quantity\": 2", "\"quantity\": 0");
    let answer = http.call("POST /v1/orders?request_id=first", &wrong).await;
    assert_eq!(answer.status, 400);
    let details = answer.json["details"].as_array().expect("details").iter();
    let violations = details.filter_map(|detail| detail["fieldViolations"].as_array()).flatten();
    let mut fields: Vec<_> = violations.map(|violation| violation["field"].as_str().expect("a path")).collect();
    fields.sort_unstable();
    assert_eq!(fields, ["order.customer", "order.items[0].quantity", "order.payment_method"]);
    http.close().await;
}

#[tokio::test]
async fn known_paths_list_their_methods() {
    let http = Http::open().await;
    for (call, status, allow) in [
        ("DELETE /v1/orders", 405, "POST, GET, HEAD, OPTIONS"),
        ("OPTIONS /v1/orders", 204, "POST, GET, HEAD, OPTIONS"),
        ("GET /v1/orders/a:cancel", 405, "POST, OPTIONS"),
        ("POST /openapi.json", 405, "GET, HEAD, OPTIONS"),
        ("OPTIONS /v1/nothing", 404, ""),
    ] {
        let answer = http.call(call, "").await;
        assert_eq!((answer.status, answer.header("allow")), (status, allow), "{call}");
    }
    let head = http.call("HEAD /v1/orders", "").await;
    assert_eq!((head.status, head.header("content-type"), &head.json), (200, "application/json", &json!(null)));
    http.close().await;
}

#[tokio::test]
async fn a_deadline_holds_for_json_as_for_grpc() {
    let http = Http::open().await;
    let headers = [("content-type", "application/json"), ("grpc-timeout", "50m")];
    let answer = http.send("POST /v1/orders?request_id=slow", &headers, order("tok_slow")).await;
    // Order answers just before the `Deadline` layer does, if it gets the time.
    assert_eq!(answer.status, 504);
    assert!(["PAYMENT_TIMED_OUT", "DEADLINE_EXCEEDED"].contains(&answer.reason()), "{}", answer.reason());
    assert!(["1", "2"].contains(&answer.header("retry-after")));
    http.food.cluster.advance(std::time::Duration::from_secs(6)).await;
    http.close().await;
}

#[tokio::test]
async fn the_served_document_has_every_path_of_the_process() {
    let http = Http::open().await;
    let document = http.succeed("GET /openapi.json", "").await;
    assert_eq!(document["openapi"], "3.1.0");
    let operations = document["paths"].as_object().expect("paths").values().filter_map(|path| path.as_object());
    let operations: usize = operations.map(serde_json::Map::len).sum();
    assert_eq!(operations, contracts::methods().count());
    http.close().await;
}
