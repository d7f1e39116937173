//! A cluster that listens on a socket, and a client of its HTTP/JSON.

use std::{net::SocketAddr, time::Duration};

use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value as Json;
use transcode::Origins;

use super::super::journeys::Food;

/// Longer than any answer takes.
const TIMEOUT: Duration = Duration::from_secs(20);

pub(super) struct Http {
    pub(super) food: Food,
    pub(super) address: SocketAddr,
    client: Client<HttpConnector, Full<Bytes>>,
}

/// An answer of JSON.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) json: Json,
}

impl Answer {
    /// The header, or "".
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().expect("text")).unwrap_or_default()
    }

    /// The `reason` of the ErrorInfo.
    pub(super) fn reason(&self) -> &str {
        let details = self.json["details"].as_array().map(Vec::as_slice).unwrap_or_default();
        details.iter().find_map(|detail| detail["reason"].as_str()).unwrap_or_default()
    }
}

impl Http {
    pub(super) async fn open() -> Self {
        Self::open_to("").await
    }

    /// Pages of these origins may call.
    pub(super) async fn open_to(origins: &str) -> Self {
        let food = Food::open_for_drills().await;
        let address = food.cluster.listen(&origins.parse::<Origins>().expect("origins")).await;
        Self { food, address, client: Client::builder(TokioExecutor::new()).build_http() }
    }

    pub(super) async fn close(self) {
        self.food.close().await;
    }

    /// Sends a request such as `GET /v1/orders`, and returns when the answer begins.
    pub(super) async fn begin(
        &self,
        call: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Response<Incoming> {
        let (verb, target) = call.split_once(' ').expect("a verb and a target");
        let mut request = Request::builder().method(verb).uri(format!("http://{}{target}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into())).expect("a request");
        let answer = tokio::time::timeout(TIMEOUT, self.client.request(request)).await;
        answer.unwrap_or_else(|_| panic!("{call} hangs")).unwrap_or_else(|error| panic!("{call}: {error:?}"))
    }

    /// Sends a request, and reads the whole answer.
    pub(super) async fn send(&self, call: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
        let (parts, body) = self.begin(call, headers, body).await.into_parts();
        let bytes = body.collect().await.expect("a whole answer").to_bytes();
        let json = match bytes.len() {
            0 => Json::Null,
            _ => serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{call}: {error}: {bytes:?}")),
        };
        Answer { status: parts.status.as_u16(), headers: parts.headers, json }
    }

    /// Sends a request whose body, if it has one, is JSON.
    pub(super) async fn call(&self, call: &str, body: &str) -> Answer {
        let headers: &[_] = if body.is_empty() { &[] } else { &[("content-type", "application/json")] };
        self.send(call, headers, body.to_owned()).await
    }

    /// Calls, and expects success.
    pub(super) async fn succeed(&self, call: &str, body: &str) -> Json {
        let answer = self.call(call, body).await;
        assert_eq!(answer.status, 200, "{call}: {answer:?}");
        answer.json
    }
}

/// The next lines of a stream, up to the one that ends like this.
pub(super) async fn until(body: &mut Incoming, end: &str) -> String {
    let mut text = String::new();
    while !text.ends_with(end) {
        let frame =
            tokio::time::timeout(TIMEOUT, body.frame()).await.unwrap_or_else(|_| panic!("it stops at {text:?}"));
        let Some(frame) = frame else { return text };
        let bytes = frame.expect("no error").into_data().expect("data");
        text.push_str(std::str::from_utf8(&bytes).expect("UTF-8"));
    }
    text
}

/// Mina's order as JSON.
pub(crate) fn order(payment_method: &str) -> String {
    let items = r#"[{"item": "items/bibimbap", "quantity": 2, "unitPrice": {"currencyCode": "KRW", "units": "9500"}}]"#;
    format!(
        r#"{{"customer": "customers/mina", "store": "stores/gangnam", "items": {items}, "paymentMethod": "{payment_method}"}}"#
    )
}
