//! How errors are reported to Envoy's outlier detection and to customers.

use std::time::{Duration, Instant};

use contracts::{
    admin::v1::{Fault, SetFaultRequest, admin_service_client::AdminServiceClient},
    order::v1::{CreateOrderRequest, GetOrderRequest, WatchOrderRequest},
    payment::v1::{AuthorizePaymentRequest, payment_service_client::PaymentServiceClient},
};
use futures::{StreamExt, future::join_all, stream};
use http_body_util::{BodyExt, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use prost::{
    Message,
    bytes::{BufMut, Bytes, BytesMut},
};
use tonic::Code;

use super::{
    super::{
        drills::scrape::{metrics, sum},
        processes::clients::{self, Clients, channel},
    },
    new_id,
    routes::through_sidecar,
    setup::{FOOD, Mesh},
    wish,
};

const AUTHORIZE: &str = "jumun.payment.v1.PaymentService/AuthorizePayment";
const CREATE: &str = "jumun.order.v1.OrderService/CreateOrder";
/// Orders, some of which hit an injected fault.
const ORDERS: usize = 300;
const AT_ONCE: usize = 16;
/// Concurrent calls that the mesh allows to payment in the overflow test.
const MAX_AT_ONCE: usize = 8;
/// Concurrent customers in that test.
const TOO_MANY: usize = 48;
/// Refusals whose latency is measured, one after another, while other calls wait.
const TIMED: usize = 20;
/// Envoy refuses calls over the limit within this time.
const REFUSED_WITHIN: Duration = Duration::from_millis(20);

async fn set_fault(url: &str, target: &str, code: &str, every: i32, delay_seconds: i64) {
    let (target, code) = (target.to_owned(), code.to_owned());
    let delay = (delay_seconds > 0).then_some(prost_types::Duration { seconds: delay_seconds, nanos: 0 });
    let fault = Some(Fault { target, code, every, delay, ..Fault::default() });
    AdminServiceClient::new(channel(url)).set_fault(SetFaultRequest { fault }).await.expect("drills are on");
}

/// A sum over the pages of metrics of every replica of a context.
async fn total(mesh: &Mesh, context: &str, metric: &str, label: &str) -> f64 {
    let pages = mesh.of(context).into_iter().map(|replica| metrics(replica.program.address));
    join_all(pages).await.iter().map(|page| sum(page, metric, label)).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs servers, Envoy and Go: make test-mesh"]
async fn a_money_call_that_was_sent_is_repeated_by_the_application_alone() {
    let mesh = Mesh::start(FOOD, &[]).await;
    // Rare enough that no replica fails twice in a row and is ejected.
    for (replica, code) in mesh.of("payment").into_iter().zip(["UNAVAILABLE", "INTERNAL", "CANCELLED"]) {
        set_fault(&replica.program.url(), AUTHORIZE, code, 7, 0).await;
    }
    let label = format!("rpc_method=\"{AUTHORIZE}\"");
    let calls = async || total(&mesh, "payment", "rpc_server_call_duration_seconds_count", &label).await;
    let retries = async || total(&mesh, "order", "jumun_retries_total", "order-to-payment").await;
    let before = (calls().await, retries().await);
    let clients = mesh.clients();
    let answers: Vec<_> = stream::iter(0..ORDERS)
        .map(async |_| clients.order(&wish(), &new_id()).await)
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let failed = answers.iter().filter(|answer| answer.is_err()).count();
    // The recovery asks by another method, so these are all calls.
    let (called, again) = (calls().await - before.0, retries().await - before.1);
    println!("{ORDERS} orders, {failed} failed; {called} calls at payment, {again} of them retries of the application");
    assert!(failed > 0 && again > 0.0, "the faults were met");
    assert_eq!(called, ORDERS as f64 + again, "calls at payment are attempts of the application");
    mesh.becomes_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs servers, Envoy and Go: make test-mesh"]
async fn errors_of_every_kind_are_in_the_headers_that_outlier_detection_reads() {
    let mesh = Mesh::start(FOOD, &[]).await;
    let url = mesh.first("order").program.url();
    let nobody = GetOrderRequest { name: "orders/01890a5d-ac96-774b-bcce-b302099a8057".to_owned() };
    let watch = WatchOrderRequest { name: nobody.name.clone() };
    let invalid = CreateOrderRequest::default();
    let service = "/jumun.order.v1.OrderService";
    let cases = [
        (format!("{service}/GetOrder"), framed(&nobody), Code::NotFound),
        (format!("{service}/WatchOrder"), framed(&watch), Code::NotFound),
        (format!("{service}/CreateOrder"), framed(&invalid), Code::InvalidArgument),
        (format!("{service}/CreateOrder"), Bytes::from_static(b"\0\0\0\0\x02\xff\xff"), Code::InvalidArgument),
    ];
    for at in [url.clone(), mesh.url()] {
        for (path, body, code) in cases.clone() {
            leaves_in_the_headers(&at, &path, body, code, "").await;
        }
    }
    let codes =
        ["UNAVAILABLE", "INTERNAL", "UNKNOWN", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "ABORTED", "DATA_LOSS"];
    for code in codes {
        set_fault(&url, "jumun.order.v1.OrderService", code, 1, 0).await;
        let code = Code::from_i32(code_number(code));
        for method in ["GetOrder", "WatchOrder"] {
            leaves_in_the_headers(&url, &format!("{service}/{method}"), framed(&nobody), code, "").await;
        }
    }
    set_fault(&url, "jumun.order.v1.OrderService", "", 1, 10).await;
    leaves_in_the_headers(&url, &format!("{service}/GetOrder"), framed(&nobody), Code::DeadlineExceeded, "100m").await;
}

fn code_number(name: &str) -> i32 {
    let number =
        (0..=16).find(|number| format!("{:?}", Code::from_i32(*number)).to_uppercase() == name.replace('_', ""));
    number.unwrap_or_else(|| panic!("{name} is no code"))
}

/// A message as gRPC sends it.
fn framed(message: &impl Message) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_u8(0);
    bytes.put_u32(u32::try_from(message.encoded_len()).expect("a small message"));
    message.encode(&mut bytes).expect("room");
    bytes.freeze()
}

/// Calls a path, and fails unless the answer is this error and nothing but headers.
pub(super) async fn leaves_in_the_headers(url: &str, path: &str, body: Bytes, code: Code, timeout: &str) {
    let client = Client::builder(TokioExecutor::new()).http2_only(true).build_http::<Full<Bytes>>();
    let mut request = http::Request::post(format!("{url}{path}")).header("content-type", "application/grpc");
    request = request.header("te", "trailers");
    if !timeout.is_empty() {
        request = request.header("grpc-timeout", timeout);
    }
    let answer = client.request(request.body(Full::new(body)).expect("a request")).await.expect("an answer");
    let status = answer.headers().get("grpc-status").map(|status| Code::from_bytes(status.as_bytes()));
    assert_eq!(status, Some(code), "{path} at {url}: {:?}", answer.headers());
    let rest = answer.into_body().collect().await.expect("a whole answer").to_bytes();
    assert!(rest.is_empty(), "{path} at {url}: {rest:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs servers, Envoy and Go: make test-mesh"]
async fn a_slow_payment_is_reported_by_the_applications_own_error() {
    let mesh = Mesh::start(FOOD, &[]).await;
    let clients = mesh.clients();
    let mut named = Vec::new();
    // The provider does not answer; then payment itself does not.
    let refusal = clients.order(&clients::wish("tok_lost"), &new_id()).await.expect_err("payment is slow");
    named.push(refusal.expect_retry(Code::DeadlineExceeded, "PAYMENT_TIMED_OUT"));
    for replica in mesh.of("payment") {
        set_fault(&replica.program.url(), AUTHORIZE, "", 1, 10).await;
    }
    let refusal = clients.order(&wish(), &new_id()).await.expect_err("payment is slow");
    named.push(refusal.expect_retry(Code::DeadlineExceeded, "PAYMENT_TIMED_OUT"));
    // Then order does not answer either.
    set_fault(&mesh.first("order").program.url(), CREATE, "", 1, 10).await;
    let refusal = clients.order(&wish(), &new_id()).await.expect_err("order is slow");
    refusal.expect_hint(Code::DeadlineExceeded, "DEADLINE_EXCEEDED");
    let timeouts = mesh.first("order").sidecar().count("upstream_rq_timeout$").await;
    println!("{timeouts} calls were ended by order's sidecar");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs servers, Envoy and Go: make test-mesh"]
async fn calls_beyond_the_capacity_of_payment_are_refused_at_once_and_leave_nothing() {
    let limit = format!("contexts.payment.traffic.http2MaxRequests={MAX_AT_ONCE}");
    // Without order's own limit, which falls at the first refusal.
    let unlimited = [("JUMUN_OVERLOAD_PROTECTION", "off".to_owned())];
    let mesh = Mesh::start_with(FOOD, &[&limit], &unlimited).await;
    let clients = mesh.clients();
    let answers = join_all((0..TOO_MANY).map(async |_| refused_after(&clients).await)).await;
    let overflow = mesh
        .first("order")
        .sidecar()
        .count("payment.*upstream_rq_pending_overflow|payment.*upstream_rq_active_overflow")
        .await;
    let refused: Vec<_> = answers.into_iter().flatten().collect();
    println!("{} of {TOO_MANY} refused, {overflow} overflows at order's sidecar", refused.len());
    assert!(refused.len() >= TOO_MANY / 2, "{} refused", refused.len());
    for refusal in &refused {
        refusal.expect_hint(Code::ResourceExhausted, "PAYMENT_OVERLOADED");
    }
    // How long Envoy itself takes, without the application.
    let took = overflow_takes(&mesh).await;
    println!("refused by Envoy after {took:?}");
    assert!(took <= REFUSED_WITHIN, "{took:?}");
    clients.every_order_is_final().await;
    for refusal in refused {
        let order = clients.get_order(&refusal.metadata["order"]).await.expect("it was recorded first");
        assert_eq!(order.state_reason, "PAYMENT_UNCONFIRMED", "{order:?}");
    }
    mesh.becomes_clean().await;
}

/// The error that a customer with a slow card gets; None: the order is placed.
async fn refused_after(clients: &Clients) -> Option<clients::Refusal> {
    clients.order(&clients::wish("tok_slow"), &new_id()).await.err()
}

/// The median time that order's sidecar takes to refuse a call, without the application.
async fn overflow_takes(mesh: &Mesh) -> Duration {
    for replica in mesh.of("payment") {
        set_fault(&replica.program.url(), AUTHORIZE, "", 1, 10).await;
    }
    let payments = PaymentServiceClient::new(through_sidecar(mesh, "order"));
    let authorize = async || {
        let request = AuthorizePaymentRequest { payable: format!("orders/{}", new_id()), ..Default::default() };
        let begun = Instant::now();
        let refused = payments.clone().authorize_payment(request).await.expect_err("no charge is made");
        (begun.elapsed(), refused.metadata().contains_key("x-envoy-overloaded"))
    };
    // Admitted calls wait, so the ones that end first are the refused ones.
    let mut asking: stream::FuturesUnordered<_> = (0..TOO_MANY + MAX_AT_ONCE).map(|_| authorize()).collect();
    asking.by_ref().take(TOO_MANY).collect::<Vec<_>>().await;
    let mut took = Vec::new();
    for _ in 0..TIMED {
        let (time, is_overflow) = authorize().await;
        assert!(is_overflow, "all places are taken");
        took.push(time);
    }
    took.sort_unstable();
    took[took.len() / 2]
}
