//! Requirements §1.5, without the mesh: the versions that handled a call, and a replica that fails, in one process.

use contracts::{
    admin::v1::{ClearFaultsRequest, Fault, SetFaultRequest, admin_service_client::AdminServiceClient},
    order::v1::{CreateOrderRequest, GetOrderRequest, order::State},
};
use http::Request;
use tonic::{Code, body::Body, metadata::MetadataMap};
use tower::ServiceExt;

use super::{
    super::http::json_order,
    food::{Food, order_named_by, wish},
    paying::assert_unconfirmed,
};

const AUTHORIZE: &str = "jumun.payment.v1.PaymentService/AuthorizePayment";

/// The services and versions that handled the call.
fn served_by(metadata: &MetadataMap) -> Vec<&str> {
    metadata.get_all("x-jumun-served-by").iter().map(|value| value.to_str().expect("ASCII")).collect()
}

fn create(request_id: &str, payment_method: &str) -> CreateOrderRequest {
    CreateOrderRequest { order: Some(wish(payment_method)), request_id: request_id.to_owned() }
}

/// Makes this number of authorizations fail with UNAVAILABLE; 0: all.
async fn fail(food: &Food, max_count: i32) {
    let (target, code) = (AUTHORIZE.to_owned(), "UNAVAILABLE".to_owned());
    let fault = Some(Fault { target, code, max_count, ..Fault::default() });
    let mut admin = AdminServiceClient::new(food.cluster.channel());
    admin.set_fault(SetFaultRequest { fault }).await.expect("drills are on");
}

#[tokio::test]
async fn an_answer_names_the_services_and_versions_that_handled_the_call() {
    let food = Food::open().await;
    let placed = food.orders().create_order(create("first", "tok_visa")).await.expect("a good card");
    assert_eq!(served_by(placed.metadata()), ["order/stable, payment/stable"]);
    let name = placed.into_inner().name;
    let read = food.orders().get_order(GetOrderRequest { name }).await.expect("an order");
    assert_eq!(served_by(read.metadata()), ["order/stable"], "no other context was called");
    let declined = food.orders().create_order(create("second", "tok_declined")).await.expect_err("a bad card");
    assert_eq!(served_by(declined.metadata()), ["order/stable, payment/stable"], "errors say it, too");
    food.close().await;
}

#[tokio::test]
async fn a_json_answer_names_them_in_a_header() {
    let food = Food::open().await;
    for (payment_method, status) in [("tok_visa", 200), ("tok_declined", 400)] {
        let body = http_body_util::Full::from(json_order(payment_method));
        let request = Request::post(format!("/v1/orders?request_id={payment_method}"));
        let request = request.header("content-type", "application/json").body(Body::new(body)).expect("a request");
        let answer = food.cluster.listener().oneshot(request).await.unwrap_or_else(|never| match never {});
        assert_eq!(answer.status(), status);
        assert_eq!(answer.headers()["x-jumun-served-by"], "order/stable, payment/stable");
    }
    food.close().await;
}

#[tokio::test]
async fn when_one_call_of_payment_fails_the_customer_notices_nothing() {
    let food = Food::open_for_drills().await;
    fail(&food, 1).await;
    let order = food.place("first").await;
    assert_eq!(food.states_of(&order.name).await, ("PLACED".into(), "CAPTURED".into(), "TAKEN".into()));
    food.close().await;
}

#[tokio::test]
async fn while_payment_fails_the_customer_gets_retry_info_and_then_the_same_request_succeeds() {
    let food = Food::open_for_drills().await;
    fail(&food, 0).await;
    let error = food.order("first", &wish("tok_visa")).await.expect_err("payment fails");
    assert_unconfirmed(&error, Code::Unavailable, "PAYMENT_UNAVAILABLE");
    let name = order_named_by(&error);
    assert_eq!(food.states_of(&name).await, ("PENDING".into(), String::new(), String::new()));
    let mut admin = AdminServiceClient::new(food.cluster.channel());
    let cleared = admin.clear_faults(ClearFaultsRequest::default()).await.expect("drills are on").into_inner();
    assert_eq!(cleared.cleared_count, 1);
    let order = food.order("first", &wish("tok_visa")).await.expect("the fault is over");
    assert_eq!((order.name.as_str(), order.state()), (name.as_str(), State::Placed));
    assert_eq!(food.states_of(&name).await, ("PLACED".into(), "CAPTURED".into(), "TAKEN".into()));
    food.close().await;
}
