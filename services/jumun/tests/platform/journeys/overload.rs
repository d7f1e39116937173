//! A context does not answer or is overloaded: the errors that callers get, and what the operator sees.

use std::time::{Duration, Instant};

use contracts::{
    admin::v1::{
        GetOverloadStatusRequest, GetOverloadStatusResponse, admin_service_client::AdminServiceClient,
        get_overload_status_response::circuit::State as Circuit,
    },
    order::v1::order::State,
};
use futures::future::join_all;
use jumun_core::Metric;
use tonic::{Code, body::Body};
use tonic_types::StatusExt;
use tower::ServiceExt;

use super::food::{ABANDONED, Food, inner, wish};

/// The retry budget at the start.
const SAVED: i64 = 128;
/// Enough failed calls to open the circuit.
const ENOUGH: usize = 30;
/// Longer than a circuit stays open.
const CLOSED_WITHIN: Duration = Duration::from_secs(20);

pub(super) async fn status(food: &Food) -> GetOverloadStatusResponse {
    let mut admin = AdminServiceClient::new(food.cluster.channel());
    inner(admin.get_overload_status(GetOverloadStatusRequest {}).await).expect("a status")
}

async fn page(food: &Food) -> String {
    let request = http::Request::get("/metrics").body(Body::empty()).expect("a request");
    let Ok(response) = food.cluster.listener().oneshot(request).await;
    let body = http_body_util::BodyExt::collect(response.into_body()).await.expect("a page");
    String::from_utf8(body.to_bytes().into()).expect("text")
}

/// Orders until the circuit to payment is open.
async fn open_the_circuit(food: &Food) {
    let asked = (0..ENOUGH).map(|index| async move { food.order(&format!("asked-{index}"), &wish("tok_visa")).await });
    assert!(join_all(asked).await.iter().all(Result::is_err), "payment is down");
    assert_eq!(status(food).await.circuits[0].state(), Circuit::Open);
}

/// Runs the recovery until no order waits for payment.
pub(super) async fn make_an_end(food: &Food) {
    let begun = Instant::now();
    let waits = |state: &String| matches!(state.as_str(), "PENDING" | "VOIDING");
    while food.states("order", "order", "orders").await.values().any(waits) {
        assert!(begun.elapsed() < CLOSED_WITHIN, "{:?}", status(food).await);
        food.cluster.advance(ABANDONED).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn while_payment_does_not_answer_orders_are_rejected_and_nothing_is_recorded() {
    let mut food = Food::open().await;
    let placed = food.place("before").await;
    food.cluster.restart_without(&["payment"]).await;
    open_the_circuit(&food).await;
    let written = food.states("order", "order", "orders").await.len();

    let begun = Instant::now();
    let error = food.order("next", &wish("tok_visa")).await.expect_err("payment is not asked");
    assert!(begun.elapsed() < Duration::from_millis(500), "{:?}", begun.elapsed());
    let info = error.get_details_error_info().expect("an ErrorInfo");
    assert_eq!((error.code(), info.reason.as_str()), (Code::Unavailable, "PAYMENT_UNAVAILABLE"));
    assert!(error.message().contains("not asked") && !info.metadata.contains_key("order"), "{error:?}");
    assert!(error.get_details_retry_info().is_some_and(|info| info.retry_delay.is_some()));
    assert_eq!(food.states("order", "order", "orders").await.len(), written);

    let again = food.order("before", &wish("tok_visa")).await.expect("the answer that was given before");
    assert_eq!(again, placed, "a request that came before has its answer");

    food.cluster.restart().await;
    make_an_end(&food).await;
    assert_eq!(food.order("next", &wish("tok_visa")).await.expect("payment is back").state(), State::Placed);
    food.close().await;
}

#[tokio::test]
async fn the_circuit_closes_when_payment_answers_again() {
    let food = Food::open().await;
    // A provider that fails makes payment answer UNAVAILABLE.
    let asked = (0..ENOUGH).map(|index| {
        let food = &food;
        async move { food.order(&format!("failing-{index}"), &wish("tok_error")).await }
    });
    assert!(join_all(asked).await.iter().all(Result::is_err), "the provider fails");
    assert_eq!(status(&food).await.circuits[0].state(), Circuit::Open);
    let begun = Instant::now();
    for number in 0.. {
        assert!(begun.elapsed() < CLOSED_WITHIN, "{:?}", status(&food).await);
        let placed = food.order(&format!("good-{number}"), &wish("tok_visa")).await.is_ok();
        if placed && status(&food).await.circuits[0].state() == Circuit::Closed {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    make_an_end(&food).await;
    food.close().await;
}

#[tokio::test]
async fn retries_are_limited_by_the_budget_and_end_when_the_circuit_opens() {
    let food = Food::open().await;
    for index in 0..ENOUGH {
        food.order(&index.to_string(), &wish("tok_error")).await.expect_err("the provider fails");
    }
    let circuit = status(&food).await.circuits.remove(0);
    let (calls, left) = (i64::from(circuit.call_count), i64::from(circuit.remaining_retry_count));
    assert!((1..calls).contains(&circuit.retried_count), "{circuit:?}");
    let unpaid = SAVED - circuit.retried_count;
    assert!((unpaid..=unpaid + calls / 10).contains(&left), "{circuit:?}");
    assert!(circuit.withheld_count > 0, "{circuit:?}");
    make_an_end(&food).await;
    food.close().await;
}

#[tokio::test]
async fn the_operator_sees_what_is_limited() {
    let food = Food::open().await;
    food.place("first").await;
    let status = status(&food).await;
    assert!(status.protected);
    let circuits: Vec<_> = status.circuits.iter().map(|circuit| (circuit.circuit.as_str(), circuit.state())).collect();
    let expected = [
        "order-to-payment",
        "order-to-kitchen",
        "enrollment-to-payment",
        "customer-to-notification",
        "kitchen-to-warehouse",
    ];
    assert_eq!(circuits, expected.map(|circuit| (circuit, Circuit::Closed)));
    let bulkheads: Vec<_> = status.bulkheads.iter().map(|each| each.bulkhead.as_str()).collect();
    assert_eq!(bulkheads, ["payment-provider", "notification-channel"]);
    assert_eq!((status.bulkheads[0].active_count, status.bulkheads[0].waiting_count), (0, 0));
    food.close().await;
}

#[tokio::test]
async fn the_metrics_show_calls_queues_batches_outboxes_and_limits_but_no_ids() {
    let food = Food::open().await;
    let order = food.place("first").await;
    let page = page(&food).await;
    for line in [
        "rpc_server_call_duration_seconds_count{rpc_method=\"jumun.order.v1.OrderService/CreateOrder\",rpc_response_status_code=\"OK\",rpc_system_name=\"grpc\",service_version=\"stable\"} 1",
        "jumun_engine_queue_length{context=\"order\",kind=\"commands\"} 0",
        "jumun_engine_batch_size_count{context=\"payment_provider\"}",
        "jumun_outbox_unpublished{context=\"payment\"} 0",
        "jumun_dead_letters{context=\"dashboard\"} 0",
        "jumun_consumer_lag{consumer=\"store-on-order\"} 0",
        "jumun_circuit_state{circuit=\"order-to-payment\",state=\"closed\"} 1",
        "jumun_retries_left{circuit=\"order-to-payment\"} 128",
        "jumun_bulkhead_calls{bulkhead=\"payment-provider\",kind=\"limit\"} 1024",
    ] {
        assert!(page.contains(line), "{line} is not in:\n{page}");
    }
    assert!(!page.contains(&order.uid), "{page}");
    let declared = |metric: &Metric| format!("# TYPE {} {}", metric.name, format!("{:?}", metric.kind).to_lowercase());
    let catalogue: Vec<_> = runtime::metrics::catalogue().map(declared).collect();
    for line in page.lines().filter(|line| line.starts_with("# TYPE ")) {
        assert!(catalogue.iter().any(|known| known == line), "{line} is not in the catalogue");
    }
    food.close().await;
}
