//! Requirements §1.1, sentences 2 and 4: the store rejects an order, or the customer cancels it.

use contracts::{
    delivery::v1::delivery::State as DeliveryState,
    order::v1::{CancelOrderRequest, order::State},
    store::v1::ticket::State as TicketState,
};
use jumun_core::reason_of;
use tonic::Code;

use super::food::{Food, order_named_by, wish};

#[tokio::test]
async fn an_order_that_the_store_rejects_is_refunded() {
    let food = Food::open().await;
    let order = food.place("first").await.name;
    assert_eq!(food.reject(&order).await.expect("open").state(), TicketState::Rejected);
    let cancelled = food.get(&order).await;
    assert_eq!((cancelled.state(), cancelled.state_reason.as_str()), (State::Cancelled, "STORE_REJECTED"));
    assert_eq!(food.states_of(&order).await, ("CANCELLED".into(), "REFUNDED".into(), "GIVEN_BACK".into()));
    assert_eq!(food.view(&order).await.payment_state, "REFUNDED");
    food.close().await;
}

#[tokio::test]
async fn the_customer_can_cancel_before_the_store_accepts() {
    let food = Food::open().await;
    let order = food.place("first").await.name;
    let cancelled = food.cancel(&order).await.expect("not cooking");
    assert_eq!((cancelled.state(), cancelled.state_reason.as_str()), (State::Cancelled, "CANCELLED_BY_CUSTOMER"));
    assert_eq!(food.states_of(&order).await, ("CANCELLED".into(), "REFUNDED".into(), "GIVEN_BACK".into()));
    assert_eq!(food.ticket(&order).await.expect("a ticket").state(), TicketState::Cancelled);
    assert_eq!(food.delivery(&order).await.expect_err("never scheduled").code(), Code::NotFound);
    food.close().await;
}

#[tokio::test]
async fn the_customer_can_cancel_until_cooking_starts_and_ticket_and_delivery_are_cancelled() {
    let food = Food::open().await;
    let order = food.place("first").await.name;
    food.accept(&order).await.expect("open");
    food.start_delivery(&order).await.expect("scheduled");
    food.cancel(&order).await.expect("not cooking");
    assert_eq!(food.states_of(&order).await, ("CANCELLED".into(), "REFUNDED".into(), "GIVEN_BACK".into()));
    assert_eq!(food.ticket(&order).await.expect("a ticket").state(), TicketState::Cancelled);
    assert_eq!(food.delivery(&order).await.expect("a delivery").state(), DeliveryState::Cancelled);
    food.close().await;
}

#[tokio::test]
async fn from_cooking_on_an_order_can_no_longer_be_cancelled() {
    let food = Food::open().await;
    let order = food.place("first").await.name;
    food.accept(&order).await.expect("open");
    food.start_cooking(&order).await.expect("accepted");
    assert_refused(&food, &order, "COOKING").await;
    food.finish_cooking(&order).await.expect("cooking");
    assert_refused(&food, &order, "READY").await;
    food.start_delivery(&order).await.expect("scheduled");
    food.pick_up(&order).await.expect("ready");
    assert_refused(&food, &order, "PICKED_UP").await;
    food.complete(&order).await.expect("picked up");
    assert_refused(&food, &order, "COMPLETED").await;
    food.close().await;
}

#[tokio::test]
async fn cancelling_again_changes_nothing_and_a_rejected_order_cannot_be_cancelled() {
    let food = Food::open().await;
    let order = food.place("first").await.name;
    let cancelled = food.cancel(&order).await.expect("not cooking");
    assert_eq!(food.cancel(&order).await.expect("again"), cancelled);
    let declined = food.order("second", &wish("tok_declined")).await.expect_err("no money");
    let error = food.cancel(&order_named_by(&declined)).await.expect_err("it was rejected");
    assert_eq!((error.code(), reason_of(&error).as_str()), (Code::FailedPrecondition, "ORDER_NOT_CANCELLABLE"));
    assert_eq!(food.cancel("orders/nobody").await.expect_err("no such order").code(), Code::NotFound);
    food.close().await;
}

#[tokio::test]
async fn the_same_cancellation_repeated_gets_the_first_answer() {
    let food = Food::open().await;
    let order = food.place("first").await.name;
    let request = CancelOrderRequest { name: order.clone(), request_id: "cancel-1".to_owned() };
    let first = food.orders().cancel_order(request.clone()).await.expect("not cooking");
    let second = food.orders().cancel_order(request).await.expect("repeated");
    assert!(first.metadata().get("idempotency-replayed").is_none());
    assert_eq!(second.metadata().get("idempotency-replayed").expect("a mark"), "true");
    assert_eq!(first.into_inner(), second.into_inner());
    let other = food.place("second").await.name;
    let request = CancelOrderRequest { name: other.clone(), request_id: "cancel-1".to_owned() };
    let error = food.orders().cancel_order(request).await.expect_err("another order under the same request_id");
    assert_eq!((error.code(), reason_of(&error).as_str()), (Code::FailedPrecondition, "REQUEST_ID_REUSED"));
    assert_eq!(food.get(&other).await.state(), State::Placed);
    food.close().await;
}

async fn assert_refused(food: &Food, order: &str, state: &str) {
    let error = food.cancel(order).await.expect_err("too late");
    assert_eq!((error.code(), reason_of(&error).as_str()), (Code::FailedPrecondition, "ORDER_NOT_CANCELLABLE"));
    assert_eq!(food.states_of(order).await, (state.into(), "CAPTURED".into(), "TAKEN".into()));
}
