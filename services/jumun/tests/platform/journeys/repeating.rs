//! Rule S10: a repeated request gets the first answer, and another one under the same `request_id` is refused.

use contracts::order::v1::{Order, order::State};
use futures::future::join_all;
use jumun_core::reason_of;
use tonic::Code;

use super::food::{ABANDONED, Food, order_named_by, wish};

#[tokio::test]
async fn the_same_request_fifty_times_at_once_makes_one_order_and_gets_identical_answers() {
    let food = Food::open().await;
    let wish = wish("tok_visa");
    let answers = join_all((0..50).map(|_| food.order("first", &wish))).await;
    let answers: Vec<_> = answers.into_iter().map(|answer| answer.expect("an order")).collect();
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(answers[0].state(), State::Placed);
    assert_eq!(food.states("order", "order", "orders").await.len(), 1);
    assert_eq!(food.states("payment", payment::PROVIDER_SCHEMA, "charges").await.len(), 1);
    food.close().await;
}

#[tokio::test]
async fn a_repeated_request_gets_the_first_answer_however_far_the_order_is_by_now() {
    let mut food = Food::open().await;
    let first = food.place("first").await;
    food.accept(&first.name).await.expect("open");
    food.start_cooking(&first.name).await.expect("accepted");
    assert_eq!(food.get(&first.name).await.state(), State::Cooking);
    assert_eq!(food.order("first", &wish("tok_visa")).await.expect("the order"), first);
    food.cluster.restart().await;
    assert_eq!(food.order("first", &wish("tok_visa")).await.expect("the order"), first);
    food.close().await;
}

#[tokio::test]
async fn a_declined_request_repeated_is_declined_again_without_another_charge() {
    let food = Food::open().await;
    let first = food.order("first", &wish("tok_declined")).await.expect_err("no money");
    let second = food.order("first", &wish("tok_declined")).await.expect_err("no money");
    assert_eq!((first.code(), reason_of(&first)), (second.code(), reason_of(&second)));
    assert_eq!((first.message(), order_named_by(&first)), (second.message(), order_named_by(&second)));
    assert_eq!(food.states("order", "order", "orders").await.len(), 1);
    food.close().await;
}

#[tokio::test]
async fn another_body_under_the_same_request_id_is_refused() {
    let food = Food::open().await;
    let first = food.place("first").await;
    let others: [fn(&mut Order); 4] = [
        |order| order.items[0].quantity += 1,
        |order| order.customer = "customers/joon".to_owned(),
        |order| order.payment_method = "tok_declined".to_owned(),
        |order| order.items.truncate(1),
    ];
    for change in others {
        let mut other = wish("tok_visa");
        change(&mut other);
        let error = food.order("first", &other).await.expect_err("another order");
        assert_eq!((error.code(), reason_of(&error).as_str()), (Code::FailedPrecondition, "REQUEST_ID_REUSED"));
    }
    assert_eq!(food.get(&first.name).await, first);
    assert_eq!(food.states("order", "order", "orders").await.len(), 1);
    food.close().await;
}

#[tokio::test]
async fn the_same_request_repeated_while_pending_goes_on_where_it_stopped() {
    let mut food = Food::open().await;
    food.cluster.restart_without(&["payment"]).await;
    let error = food.order("first", &wish("tok_visa")).await.expect_err("payment is down");
    let order = order_named_by(&error);
    food.cluster.restart().await;
    assert_eq!(food.get(&order).await.state(), State::Pending);
    let placed = food.order("first", &wish("tok_visa")).await.expect("payment is back");
    assert_eq!((placed.state(), &placed.name), (State::Placed, &order));
    food.cluster.advance(ABANDONED).await;
    assert_eq!(food.states_of(&order).await, ("PLACED".into(), "CAPTURED".into(), "TAKEN".into()));
    food.close().await;
}
