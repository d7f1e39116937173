//! Which calls reach their context through the mesh, and which are refused.

use std::{collections::BTreeSet, time::Duration};

use contracts::{
    admin::v1::{ListFaultsRequest, admin_service_client::AdminServiceClient},
    order::v1::{CancelOrderRequest, WatchOrderRequest, order::State as OrderState},
    payment::v1::{AuthorizePaymentRequest, ListPaymentsRequest, payment_service_client::PaymentServiceClient},
};
use http_body_util::{BodyExt, Empty};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use prost::bytes::Bytes;
use serde_json::{Value as Json, json};
use tonic::{
    Code, Status,
    transport::{Channel, Endpoint},
};

use super::{
    super::processes::{clients::channel, protocol::PROTOCOLS},
    errors::leaves_in_the_headers,
    new_id,
    setup::{FOOD, Mesh},
};

/// The host name of payment in the cluster.
const PAYMENT: &str = "http://payment.jumun.svc.cluster.local:8080";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs servers, Envoy and Go: make test-mesh"]
async fn every_context_is_reached_and_envoy_rejects_nothing_that_istiod_makes_of_the_chart() {
    let canaries = ["contexts.order.canary.enabled=true", "contexts.payment.canary.enabled=true"];
    let mesh = Mesh::start(FOOD, &canaries).await;
    let contexts: BTreeSet<_> = FOOD.iter().map(|(context, _)| *context).collect();
    let lists = contracts::methods().filter(|method| {
        let package = method.parent_service().package_name().to_owned();
        method.name().starts_with("List") && contexts.iter().any(|context| package == format!("jumun.{context}.v1"))
    });
    let lists: Vec<_> = lists.collect();
    assert!(lists.len() >= contexts.len(), "{lists:?}");
    for protocol in PROTOCOLS {
        let caller = protocol.connect(&mesh.url(), None);
        for list in &lists {
            let answer = caller.call(list, &json!({})).await;
            assert!(answer.is_ok(), "{} through {protocol:?}: {answer:?}", list.full_name());
        }
    }
    for envoy in mesh.envoys() {
        let rejected = envoy.stats("update_rejected").await;
        assert!(rejected.len() > 3, "{}: {rejected:?}", envoy.name);
        assert!(rejected.values().all(|count| *count == 0), "{}: {rejected:?}", envoy.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs servers, Envoy and Go: make test-mesh"]
async fn a_stream_stays_open_longer_than_every_timeout_of_a_route() {
    let mesh = Mesh::start(FOOD, &[]).await;
    let mut clients = mesh.clients();
    let name = clients.place(1).await.remove(0).name;
    let request = WatchOrderRequest { name: name.clone() };
    let mut watched = clients.orders.watch_order(request).await.expect("it is there").into_inner();
    let first = watched.message().await.expect("no error").expect("the order as it is");
    assert_eq!(first.state(), OrderState::Placed);
    let mut longest = Duration::ZERO;
    for envoy in [&mesh.gateway, mesh.first("order").sidecar()] {
        let dump = envoy.get("/config_dump?resource=dynamic_route_configs").await;
        longest = longest.max(longest_timeout(&serde_json::from_str(&dump).expect("JSON")));
    }
    assert!(longest >= Duration::from_secs(5), "{longest:?}");
    tokio::time::sleep(longest + Duration::from_secs(1)).await;
    let request = CancelOrderRequest { name, request_id: new_id() };
    clients.orders.cancel_order(request).await.expect("it is not cooked yet");
    let last = watched.message().await.expect("no error").expect("the change");
    assert_eq!(last.state(), OrderState::Cancelled, "after {longest:?}");
    assert_eq!(watched.message().await.expect("no error"), None, "nothing changes any more");
}

/// The longest timeout of the routes in a dump of Envoy's configuration.
fn longest_timeout(json: &Json) -> Duration {
    let seconds = |text: &str| text.strip_suffix('s')?.parse().ok().map(Duration::from_secs_f64);
    match json {
        Json::Object(fields) => {
            let own = fields.get("timeout").and_then(Json::as_str).and_then(seconds).unwrap_or_default();
            fields.values().map(longest_timeout).max().unwrap_or_default().max(own)
        }
        Json::Array(items) => items.iter().map(longest_timeout).max().unwrap_or_default(),
        _ => Duration::ZERO,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs servers, Envoy and Go: make test-mesh"]
async fn a_call_that_nothing_serves_or_allows_is_refused() {
    // Each proxy knows every service, so only the policies can refuse a call.
    let mesh = Mesh::start(FOOD, &["istio.sidecar.enabled=false"]).await;
    let outside = channel(&mesh.url());

    leaves_in_the_headers(&mesh.url(), "/jumun.nothing.v1.NothingService/Get", Bytes::new(), Code::Unimplemented, "")
        .await;
    assert_eq!(http_status(&mesh, "/v1/nothing").await, 404);
    let admin = AdminServiceClient::new(outside.clone()).list_faults(ListFaultsRequest {}).await;
    assert_eq!(admin.expect_err("from outside").code(), Code::Unimplemented, "no route leads to AdminService");
    assert_eq!(http_status(&mesh, "/v1/faults").await, 404);

    let authorize = AuthorizePaymentRequest { payable: "orders/1".to_owned(), ..AuthorizePaymentRequest::default() };
    let from_outside = PaymentServiceClient::new(outside).authorize_payment(authorize.clone()).await;
    is_denied(&from_outside.expect_err("the gateway may not call payment"));
    let [store, order] = ["store", "order"].map(|context| PaymentServiceClient::new(through_sidecar(&mesh, context)));
    is_denied(&store.clone().authorize_payment(authorize.clone()).await.expect_err("store is no caller of payment"));
    is_denied(&order.clone().list_payments(ListPaymentsRequest::default()).await.expect_err("order needs no lists"));
    // The same route is open for an allowed caller: this refusal is payment's own.
    let invalid = order.clone().authorize_payment(authorize).await.expect_err("there is no amount");
    assert_eq!(invalid.code(), Code::InvalidArgument, "{invalid:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs servers, Envoy and Go: make test-mesh"]
async fn a_context_without_callees_has_no_endpoints_and_a_plaintext_caller_is_rejected() {
    let mesh = Mesh::start(FOOD, &[]).await;
    let mut store = PaymentServiceClient::new(through_sidecar(&mesh, "store"));
    let refused = store.list_payments(ListPaymentsRequest::default()).await.expect_err("its scope has no payment");
    assert!(matches!(refused.code(), Code::Unimplemented | Code::Unavailable), "{refused:?}");
    // Directly to the callee, past the caller's sidecar and without a certificate.
    let address = mesh.first("payment").address;
    let mut plain = PaymentServiceClient::new(channel(&format!("http://{address}:8080")));
    let refused = plain.list_payments(ListPaymentsRequest::default()).await.expect_err("mTLS is STRICT");
    assert!(!refused.metadata().contains_key("x-jumun-served-by"), "{refused:?}");
}

fn is_denied(status: &Status) {
    assert_eq!((status.code(), status.message()), (Code::PermissionDenied, "RBAC: access denied"));
}

/// A channel to payment through the sidecar of a replica of this context.
pub(super) fn through_sidecar(mesh: &Mesh, context: &str) -> Channel {
    let sidecar = Endpoint::from_shared(format!("http://{}:8080", mesh.first(context).egress)).expect("an address");
    sidecar.origin(PAYMENT.parse().expect("an origin")).connect_lazy()
}

async fn http_status(mesh: &Mesh, path: &str) -> u16 {
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let url = format!("{}{path}", mesh.url()).parse().expect("a URL");
    let answer = client.get(url).await.expect("an answer");
    let status = answer.status().as_u16();
    answer.into_body().collect().await.expect("a whole answer");
    status
}
