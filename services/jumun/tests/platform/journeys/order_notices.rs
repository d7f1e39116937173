//! Requirements §1.4, sentence 3: each change of an order notifies its customer, if the customer asked for that.

use std::time::Duration;

use contracts::{customer::v1::Customer, order::v1::Order};

use super::{
    cleaning::person,
    food::{Food, wish},
};

const SOON: Duration = Duration::from_secs(1);

fn listening(account: &str) -> Customer {
    Customer { notifies_order_changes: true, ..person(account) }
}

async fn order(food: &Food, request_id: &str, account: &str) -> String {
    let order = Order { customer: format!("customers/{account}"), ..wish("tok_visa") };
    let order = food.order(request_id, &order).await.expect("a good card").name;
    food.cluster.settle().await;
    order
}

#[tokio::test]
async fn an_order_that_changes_notifies_the_customer_who_asked_for_it_and_nobody_else() {
    let food = Food::open().await;
    food.register("first", &listening("mina")).await.expect("reached");
    food.register("second", &person("joon")).await.expect("reached");
    food.cluster.settle().await;
    // Events of the same millisecond have no order.
    food.cluster.advance(SOON).await;
    let first = order(&food, "1", "mina").await;
    food.cluster.advance(SOON).await;
    food.cancel(&first).await.expect("not cooking");
    food.cluster.advance(SOON).await;
    for other in ["joon", "stranger"] {
        order(&food, other, other).await;
    }
    let declined = Order { customer: "customers/mina".to_owned(), ..wish("tok_declined") };
    food.order("2", &declined).await.expect_err("no money");
    food.cluster.settle().await;
    food.cluster.advance(SOON).await;

    let messages = food.phone("mina").await;
    assert_eq!(
        messages[1..3],
        [format!("Your order is placed: {first}."), format!("Your order is cancelled: {first}.")]
    );
    assert_eq!(messages.len(), 4, "{messages:?}");
    assert!(messages[3].starts_with("Your order was not placed: orders/"), "{messages:?}");
    assert_eq!(food.phone("joon").await.len(), 1, "the welcome alone");
    assert!(food.phone("stranger").await.is_empty());
    food.close().await;
}

#[tokio::test]
async fn a_cancelled_customer_gets_no_notices_of_orders_and_a_notice_follows_when_notification_was_down() {
    let mut food = Food::open().await;
    let mina = food.register("first", &listening("mina")).await.expect("reached").name;
    food.cluster.settle().await;
    food.cluster.advance(SOON).await;
    food.cluster.restart_without(&["notification"]).await;
    let first = order(&food, "1", "mina").await;
    food.cluster.restart().await;
    food.cluster.settle().await;
    food.cluster.advance(SOON).await;
    assert_eq!(food.phone("mina").await[1..], [format!("Your order is placed: {first}.")]);
    food.unregister(&mina, "").await.expect("registered");
    food.cluster.settle().await;
    order(&food, "2", "mina").await;
    food.cluster.advance(SOON).await;
    assert_eq!(food.phone("mina").await.len(), 3, "welcome, placed, cancelled");
    food.close().await;
}
