//! A caller that stops waiting gets DEADLINE_EXCEEDED, and its order is still settled.

use std::time::{Duration, Instant};

use contracts::{
    order::v1::{CreateOrderRequest, order::State},
    payment::v1::payment::State as PaymentState,
};
use tonic::{Code, Request, Status};

use super::food::{ABANDONED, Food, payment_name, wish};

async fn order_within(food: &Food, timeout: Duration, token: &str) -> Status {
    let mut request = Request::new(CreateOrderRequest { order: Some(wish(token)), request_id: "first".to_owned() });
    request.set_timeout(timeout);
    food.orders().create_order(request).await.expect_err("it takes longer")
}

/// The only order, once it is recorded.
async fn the_order(food: &Food) -> String {
    let start = Instant::now();
    loop {
        if let Some(id) = food.states("order", "order", "orders").await.into_keys().next() {
            return format!("orders/{id}");
        }
        assert!(start.elapsed() < Duration::from_secs(5), "no order was recorded");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_deadline_too_short_for_payment_is_exceeded_and_the_order_is_rejected() {
    let food = Food::open().await;
    let start = Instant::now();
    let error = order_within(&food, Duration::from_millis(50), "tok_slow").await;
    assert_eq!(error.code(), Code::DeadlineExceeded, "never CANCELLED, which meshes retry");
    assert!(start.elapsed() < Duration::from_millis(400), "{:?}", start.elapsed());
    let order = the_order(&food).await;
    food.cluster.advance(ABANDONED).await;
    assert_eq!(food.get(&order).await.state(), State::Rejected);
    food.close().await;
}

#[tokio::test]
async fn a_deadline_that_passes_while_payment_works_leaves_an_order_that_is_placed_later() {
    let food = Food::open().await;
    let error = order_within(&food, Duration::from_millis(390), "tok_slow").await;
    assert_eq!(error.code(), Code::DeadlineExceeded);
    let order = the_order(&food).await;
    let start = Instant::now();
    while food.payment_of(&order).await.map(|payment| payment.state()).ok() != Some(PaymentState::Authorized) {
        assert!(start.elapsed() < Duration::from_secs(5), "{} never came", payment_name(&order));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    food.cluster.advance(ABANDONED).await;
    assert_eq!(food.get(&order).await.state(), State::Placed);
    food.close().await;
}

#[tokio::test]
async fn a_caller_that_goes_away_does_not_stop_its_order() {
    let food = Food::open().await;
    let (mut orders, wish) = (food.orders(), wish("tok_slow"));
    let request = CreateOrderRequest { order: Some(wish), request_id: "first".to_owned() };
    let call = tokio::spawn(async move { orders.create_order(request).await });
    let order = the_order(&food).await;
    call.abort();
    let start = Instant::now();
    while food.get(&order).await.state() != State::Placed {
        assert!(start.elapsed() < Duration::from_secs(5), "the order stopped halfway");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    food.close().await;
}
