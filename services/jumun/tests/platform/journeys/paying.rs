//! Requirements §1.1, sentence 1, and §3: an order is placed only if it is paid, however payment fails.

use std::time::{Duration, Instant};

use contracts::{
    order::v1::{ListOrdersRequest, order::State},
    payment::v1::{AuthorizePaymentRequest, payment::State as PaymentState},
};
use jumun_core::reason_of;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::{
    food::{ABANDONED, Food, LATE, inner, order_named_by, payment_name, wish, won, wrong_fields},
    overload::status,
};

#[tokio::test]
async fn a_declined_card_leaves_no_placed_order_and_no_charge() {
    let food = Food::open().await;
    let error = food.order("first", &wish("tok_declined")).await.expect_err("no money");
    assert_eq!((error.code(), reason_of(&error).as_str()), (Code::FailedPrecondition, "PAYMENT_DECLINED"));
    let info = error.get_details_error_info().expect("an ErrorInfo");
    assert_eq!((info.domain.as_str(), info.metadata["decline_reason"].as_str()), ("jumun.dev", "INSUFFICIENT_FUNDS"));
    let order = order_named_by(&error);
    assert_eq!(food.states_of(&order).await, ("REJECTED".into(), "DECLINED".into(), "DECLINED".into()));
    assert_eq!(food.get(&order).await.state_reason, "INSUFFICIENT_FUNDS");
    assert_eq!(food.ticket(&order).await.expect_err("the store gets no event").code(), Code::NotFound);
    food.close().await;
}

#[tokio::test]
async fn what_is_no_payment_method_is_refused_by_its_field() {
    let food = Food::open().await;
    let error = food.order("first", &wish("tok_other")).await.expect_err("no payment method");
    assert_eq!(error.code(), Code::InvalidArgument);
    assert_eq!(wrong_fields(&error), ["order.payment_method"]);
    assert_eq!(food.states("order", "order", "orders").await.into_values().collect::<Vec<_>>(), ["REJECTED"]);
    assert!(food.states("payment", payment::PROVIDER_SCHEMA, "charges").await.is_empty());
    food.close().await;
}

#[tokio::test]
async fn a_slow_payment_is_waited_for() {
    let food = Food::open().await;
    let order = food.order("first", &wish("tok_slow")).await.expect("an order");
    assert_eq!(order.state(), State::Placed);
    food.close().await;
}

#[tokio::test]
async fn when_payment_fails_the_customer_gets_a_clear_error_and_nothing_is_left_behind() {
    unknown_outcome("tok_error", Code::Unavailable, "PAYMENT_UNAVAILABLE").await;
}

#[tokio::test]
async fn when_payments_answer_is_lost_the_charge_is_taken_back() {
    unknown_outcome("tok_lost", Code::DeadlineExceeded, "PAYMENT_TIMED_OUT").await;
}

#[tokio::test]
async fn when_payment_charges_too_late_the_charge_is_voided() {
    unknown_outcome("tok_late", Code::DeadlineExceeded, "PAYMENT_TIMED_OUT").await;
}

/// The error names the order and says when to retry; then the recovery settles the order.
async fn unknown_outcome(token: &str, code: Code, reason: &str) {
    let food = Food::open().await;
    let error = food.order("first", &wish(token)).await.expect_err("the outcome is unknown");
    assert_unconfirmed(&error, code, reason);
    let order = order_named_by(&error);
    assert_eq!(food.get(&order).await.state(), State::Pending);

    food.cluster.advance(ABANDONED).await;
    let rejected = food.get(&order).await;
    assert_eq!((rejected.state(), rejected.state_reason.as_str()), (State::Rejected, "PAYMENT_UNCONFIRMED"));
    assert_eq!(food.payment_of(&order).await.expect("a tombstone").state(), PaymentState::Voided);
    assert_eq!(food.states_of(&order).await, ("REJECTED".into(), "VOIDED".into(), "RELEASED".into()));

    let error = food.order("first", &wish(token)).await.expect_err("the same answer from now on");
    assert_eq!((error.code(), reason_of(&error).as_str()), (Code::Aborted, "ORDER_NOT_PLACED"));
    assert_eq!(order_named_by(&error), order);
    food.close().await;
}

#[tokio::test]
async fn a_charge_that_comes_after_the_void_meets_the_tombstone() {
    let food = Food::open().await;
    let error = food.order("first", &wish("tok_late")).await.expect_err("the outcome is unknown");
    let order = order_named_by(&error);
    food.cluster.advance(ABANDONED).await;
    assert_eq!(food.states_of(&order).await.2, "RELEASED");

    food.cluster.advance(LATE).await;
    // The late charge runs in a task of its own: let it run.
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(200) {
        assert_eq!(food.states_of(&order).await, ("REJECTED".into(), "VOIDED".into(), "RELEASED".into()));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let error = authorize(&food, &order, 22_000, "tok_visa").await.expect_err("not to be paid for any more");
    assert_eq!((error.code(), reason_of(&error).as_str()), (Code::FailedPrecondition, "PAYMENT_VOIDED"));
    assert_eq!(food.states_of(&order).await.2, "RELEASED");
    food.close().await;
}

#[tokio::test]
async fn a_charge_that_comes_before_the_void_is_released_by_it() {
    let food = Food::open().await;
    let error = food.order("first", &wish("tok_lost")).await.expect_err("the outcome is unknown");
    let order = order_named_by(&error);
    assert_eq!(food.states_of(&order).await, ("PENDING".into(), String::new(), "HELD".into()));
    food.cluster.advance(ABANDONED).await;
    assert_eq!(food.states_of(&order).await, ("REJECTED".into(), "VOIDED".into(), "RELEASED".into()));
    food.close().await;
}

#[tokio::test]
async fn the_recovery_leaves_an_order_alone_whose_call_may_still_be_under_way() {
    let food = Food::open().await;
    let error = food.order("first", &wish("tok_error")).await.expect_err("the outcome is unknown");
    let order = order_named_by(&error);
    food.cluster.advance(Duration::from_secs(4)).await;
    assert_eq!(food.get(&order).await.state(), State::Pending);
    food.cluster.advance(Duration::from_secs(2)).await;
    assert_eq!(food.get(&order).await.state(), State::Rejected);
    food.close().await;
}

#[tokio::test]
async fn an_order_whose_payment_is_held_is_placed_by_the_recovery() {
    let mut food = Food::open().await;
    let error = food.order("first", &wish("tok_error")).await.expect_err("the outcome is unknown");
    let order = order_named_by(&error);
    // As if the answer to this call had been lost.
    authorize(&food, &order, 22_000, "tok_visa").await.expect("held");
    food.cluster.restart().await;
    food.cluster.advance(ABANDONED).await;
    let placed = food.get(&order).await;
    assert_eq!((placed.state(), placed.payment), (State::Placed, payment_name(&order)));
    assert_eq!(food.states_of(&order).await, ("PLACED".into(), "CAPTURED".into(), "TAKEN".into()));
    food.close().await;
}

#[tokio::test]
async fn an_order_that_waits_for_payment_is_seen_but_cannot_be_cancelled() {
    let food = Food::open().await;
    let error = food.order("first", &wish("tok_error")).await.expect_err("the outcome is unknown");
    let order = order_named_by(&error);
    let request = ListOrdersRequest { filter: "state = PENDING".to_owned(), ..Default::default() };
    let pending = inner(food.orders().list_orders(request).await).expect("a page").orders;
    assert_eq!(pending.iter().map(|order| &order.name).collect::<Vec<_>>(), [&order]);
    let error = food.cancel(&order).await.expect_err("not placed");
    assert_eq!((error.code(), reason_of(&error).as_str()), (Code::FailedPrecondition, "ORDER_PENDING"));
    food.cluster.advance(ABANDONED).await;
    food.close().await;
}

#[tokio::test]
async fn one_payable_has_one_payment() {
    let food = Food::open().await;
    let order = food.place("first").await.name;
    let again = authorize(&food, &order, 22_000, "tok_visa").await.expect("a repetition");
    assert_eq!(again.state(), PaymentState::Authorized);
    let error = authorize(&food, &order, 23_000, "tok_visa").await.expect_err("another amount");
    assert_eq!(error.code(), Code::FailedPrecondition);
    assert_eq!(food.states("payment", payment::PROVIDER_SCHEMA, "charges").await.len(), 1);
    food.close().await;
}

#[tokio::test]
async fn a_request_repeated_meanwhile_waits_for_the_same_answer() {
    let food = Food::open().await;
    let bulkhead = async || status(&food).await.bulkheads.swap_remove(0);
    let ask = || authorize(&food, "orders/slow", 22_000, "tok_slow");
    let (first, again, ()) = tokio::join!(ask(), ask(), async {
        while bulkhead().await.active_count == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(bulkhead().await.active_count, 1, "the provider is asked once");
    });
    assert_eq!(first.expect("an authorization"), again.expect("the same"));
    let other = authorize(&food, "orders/slow", 23_000, "tok_slow").await.expect_err("another amount");
    assert_eq!(other.code(), Code::FailedPrecondition);
    food.close().await;
}

async fn authorize(
    food: &Food,
    order: &str,
    amount: i64,
    token: &str,
) -> Result<contracts::payment::v1::Payment, Status> {
    let request = AuthorizePaymentRequest {
        payable: order.to_owned(),
        amount: Some(won(amount)),
        payment_method: token.to_owned(),
        request_id: "by-hand".to_owned(),
    };
    inner(food.payments().authorize_payment(request).await)
}

pub(super) fn assert_unconfirmed(error: &Status, code: Code, reason: &str) {
    assert_eq!((error.code(), reason_of(error).as_str()), (code, reason), "{error:?}");
    let retry = error.get_details_retry_info().expect("a RetryInfo").retry_delay;
    assert!(retry.is_some_and(|delay| delay >= Duration::from_secs(1)), "{retry:?}");
    assert!(order_named_by(error).starts_with("orders/"));
}
