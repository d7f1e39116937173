//! Two versions side by side: routed by weight or by header, and weights that change under load.

use std::collections::BTreeMap;

use contracts::{
    order::v1::CreateOrderRequest,
    payment::v1::{GetPaymentRequest, payment_service_client::PaymentServiceClient},
};
use futures::{StreamExt, stream};
use tonic::{Request, metadata::MetadataMap, transport::Channel};

use super::{
    super::processes::clients::{channel, id},
    new_id,
    setup::Mesh,
    wish,
};

/// Calls that measure the shares.
const CALLS: usize = 10_000;
/// Calls that measure a changed share.
const CALLS_LATER: usize = 4_000;
/// Orders that ask for the canary.
const WISHES: usize = 300;
const AT_ONCE: usize = 32;
/// How far a share of 10,000 calls may be from the weight, in percentage points.
const TOLERANCE: f64 = 1.5;
/// The same for fewer calls.
const TOLERANCE_LATER: f64 = 3.0;

const VERSIONS: &[(&str, usize)] = &[
    ("order", 1),
    ("order-canary", 1),
    ("payment", 3),
    ("payment-canary", 1),
    ("store", 1),
    ("delivery", 1),
    ("dashboard", 1),
];

fn values(weight: u32) -> [String; 4] {
    [
        "contexts.order.canary.enabled=true".to_owned(),
        "contexts.payment.canary.enabled=true".to_owned(),
        "contexts.order.canary.weight=0".to_owned(),
        format!("contexts.payment.canary.weight={weight}"),
    ]
}

async fn versions(weight: u32) -> Mesh {
    Mesh::start(VERSIONS, &values(weight).each_ref().map(String::as_str)).await
}

/// Makes the same call this number of times, all of which must succeed; returns the share of each server in percent.
async fn shares(payments: &PaymentServiceClient<Channel>, name: &str, calls: usize) -> BTreeMap<String, f64> {
    let ask = |_| async {
        let answer = payments.clone().get_payment(GetPaymentRequest { name: name.to_owned() }).await;
        served_by(answer.expect("no call fails").metadata())
    };
    let mut shares = BTreeMap::new();
    let mut served = stream::iter(0..calls).map(ask).buffer_unordered(AT_ONCE);
    while let Some(by) = served.next().await {
        *shares.entry(by).or_default() += 100.0 / calls as f64;
    }
    shares
}

fn served_by(metadata: &MetadataMap) -> String {
    metadata.get("x-jumun-served-by").expect("every answer says it").to_str().expect("ASCII").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs servers, Envoy and Go: make test-mesh"]
async fn a_canary_gets_its_share_which_changes_without_a_failed_call() {
    let mut mesh = versions(10).await;
    let order = mesh.clients().place(1).await.remove(0);
    let payments = PaymentServiceClient::new(channel(&mesh.url()));
    let shares_of = async |calls| shares(&payments, &order.payment, calls).await;
    let tenth = shares_of(CALLS).await;
    println!("weight 10: {tenth:?}");
    assert!((tenth["payment/canary"] - 10.0).abs() <= TOLERANCE, "{tenth:?}");
    let (during, ()) = tokio::join!(shares(&payments, &order.payment, CALLS_LATER), async {
        mesh.upgrade(&values(50).each_ref().map(String::as_str)).await;
    });
    let half = shares_of(CALLS_LATER).await;
    println!("while it changed: {during:?}; weight 50: {half:?}");
    assert!((half["payment/canary"] - 50.0).abs() <= TOLERANCE_LATER, "{half:?}");
    assert!(id(&order.payment).starts_with("order-"), "{order:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs servers, Envoy and Go: make test-mesh"]
async fn a_request_that_asks_for_the_canary_meets_it_at_every_hop_and_no_other_does() {
    let mesh = versions(0).await;
    for (wanted, expected) in [("canary", "order/canary, payment/canary"), ("", "order/stable, payment/stable")] {
        let orders = mesh.clients().orders;
        let ask = |_| async {
            let mut request = Request::new(CreateOrderRequest { order: Some(wish()), request_id: new_id() });
            if !wanted.is_empty() {
                request.metadata_mut().insert("x-jumun-version", wanted.parse().expect("ASCII"));
            }
            served_by(orders.clone().create_order(request).await.expect("the order is taken").metadata())
        };
        let served: Vec<_> = stream::iter(0..WISHES).map(ask).buffer_unordered(AT_ONCE).collect().await;
        assert!(served.iter().all(|by| by == expected), "{wanted:?}: {served:?}");
    }
    mesh.becomes_clean().await;
}
