//! Web pages of other origins may call only where the settings allow it (CORS).

use super::client::Http;

const PAGE: (&str, &str) = ("origin", "https://shop.example");
const STRANGER: (&str, &str) = ("origin", "https://other.example");
const ASKS: [(&str, &str); 2] =
    [("access-control-request-method", "POST"), ("access-control-request-headers", "content-type,x-grpc-web")];
const ALLOWED: &str = "access-control-allow-origin";

#[tokio::test]
async fn by_default_no_page_may_call() {
    let http = Http::open().await;
    let asked = http.send("OPTIONS /v1/orders", &[PAGE, ASKS[0], ASKS[1]], "").await;
    assert_eq!((asked.status, asked.header(ALLOWED)), (204, ""));
    assert_eq!(http.send("GET /v1/orders", &[PAGE], "").await.header(ALLOWED), "");
    http.close().await;
}

/// Browsers send a preflight before JSON, but not before an empty body.
#[tokio::test]
async fn a_page_cannot_change_anything_without_a_preflight() {
    let http = Http::open().await;
    let json = ("content-type", "application/json");
    for (headers, status) in [(&[PAGE][..], 415), (&[PAGE, json], 200), (&[], 200)] {
        assert_eq!(http.send("POST /v1/deadLetters:redrive", headers, "").await.status, status, "{headers:?}");
    }
    http.close().await;
}

#[tokio::test]
async fn pages_of_the_configured_origins_may_call_and_no_others() {
    let http = Http::open_to("https://shop.example").await;
    let asked = http.send("OPTIONS /v1/orders", &[PAGE, ASKS[0], ASKS[1]], "").await;
    assert_eq!((asked.status, asked.header(ALLOWED)), (200, PAGE.1));
    assert_eq!(asked.header("access-control-allow-headers"), ASKS[1].1);
    assert_eq!(http.send("GET /v1/orders", &[PAGE], "").await.header(ALLOWED), PAGE.1);
    for call in ["OPTIONS /v1/orders", "GET /v1/orders"] {
        assert_eq!(http.send(call, &[STRANGER, ASKS[0]], "").await.header(ALLOWED), "", "{call}");
    }
    // Without an origin it is a plain OPTIONS request for the path.
    assert_eq!(http.call("OPTIONS /v1/orders", "").await.header("allow"), "POST, GET, HEAD, OPTIONS");
    http.close().await;
}

#[tokio::test]
async fn a_star_lets_every_page_call() {
    let http = Http::open_to("*").await;
    assert_eq!(http.send("GET /v1/orders", &[STRANGER], "").await.header(ALLOWED), "*");
    let web = [STRANGER, ("content-type", "application/grpc-web"), ("accept", "application/grpc-web")];
    let answer = http.begin("POST /jumun.bench.v1.BenchService/Echo", &web, vec![0; 5]).await;
    assert_eq!((answer.status().as_u16(), &answer.headers()[ALLOWED]), (200, &"*".parse().expect("a value")));
    http.close().await;
}
