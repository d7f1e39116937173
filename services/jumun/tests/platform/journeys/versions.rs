//! Requirements §1.5, without the mesh: who served a request, and a replica that fails, in one process.

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

/// Who served what this came with.
fn served_by(metadata: &MetadataMap) -> Vec<&str> {
    metadata.get_all("x-jumun-served-by").iter().map(|value| value.to_str().expect("ASCII")).collect()
}

fn create(request_id: &str, payment_method: &str) -> CreateOrderRequest {
    CreateOrderRequest { order: Some(wish(payment_method)), request_id: request_id.to_owned() }
}

/// Makes as many authorizations fail with UNAVAILABLE, or all when 0.
async fn fail(food: &Food, max_count: i32) {
    let (target, code) = (AUTHORIZE.to_owned(), "UNAVAILABLE".to_owned());
    let fault = Some(Fault { target, code, max_count, ..Fault::default() });
    let mut admin = AdminServiceClient::new(food.world.channel());
    admin.set_fault(SetFaultRequest { fault }).await.expect("drills are on");
}

#[tokio::test]
async fn an_answer_says_who_served_it_and_who_was_asked_for_it() {
    let food = Food::open().await;
    let placed = food.orders().create_order(create("first", "tok_visa")).await.expect("a good card");
    assert_eq!(served_by(placed.metadata()), ["order/stable, payment/stable"]);
    let name = placed.into_inner().name;
    let read = food.orders().get_order(GetOrderRequest { name }).await.expect("an order");
    assert_eq!(served_by(read.metadata()), ["order/stable"], "nobody else was asked");
    let declined = food.orders().create_order(create("second", "tok_declined")).await.expect_err("a bad card");
    assert_eq!(served_by(declined.metadata()), ["order/stable, payment/stable"], "errors say it, too");
    food.close().await;
}

#[tokio::test]
async fn an_answer_of_json_says_it_as_a_header() {
    let food = Food::open().await;
    for (payment_method, status) in [("tok_visa", 200), ("tok_declined", 400)] {
        let body = http_body_util::Full::from(json_order(payment_method));
        let request = Request::post(format!("/v1/orders?request_id={payment_method}"));
        let request = request.header("content-type", "application/json").body(Body::new(body)).expect("a request");
        let answer = food.world.listener().oneshot(request).await.unwrap_or_else(|never| match never {});
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
    assert_eq!(food.books(&order.name).await, ("PLACED".into(), "CAPTURED".into(), "TAKEN".into()));
    food.close().await;
}

#[tokio::test]
async fn while_payment_fails_the_customer_is_told_to_ask_again_and_then_the_same_request_stands() {
    let food = Food::open_for_drills().await;
    fail(&food, 0).await;
    let told = food.order("first", &wish("tok_visa")).await.expect_err("payment fails");
    assert_unconfirmed(&told, Code::Unavailable, "PAYMENT_UNAVAILABLE");
    let name = order_named_by(&told);
    assert_eq!(food.books(&name).await, ("PENDING".into(), String::new(), String::new()));
    let mut admin = AdminServiceClient::new(food.world.channel());
    let cleared = admin.clear_faults(ClearFaultsRequest::default()).await.expect("drills are on").into_inner();
    assert_eq!(cleared.cleared_count, 1);
    let order = food.order("first", &wish("tok_visa")).await.expect("the fault is over");
    assert_eq!((order.name.as_str(), order.state()), (name.as_str(), State::Placed));
    assert_eq!(food.books(&name).await, ("PLACED".into(), "CAPTURED".into(), "TAKEN".into()));
    food.close().await;
}
