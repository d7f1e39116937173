//! Requirements §1.4, sentence 3: each change of an order can notify its customer, who asked for it.

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
    food.world.settle().await;
    order
}

#[tokio::test]
async fn an_order_that_changes_notifies_the_customer_who_asked_for_it_and_nobody_else() {
    let food = Food::open().await;
    food.register("first", &listening("mina")).await.expect("reached");
    food.register("second", &person("joon")).await.expect("reached");
    food.world.settle().await;
    // What happens in the same millisecond is in no order.
    food.world.advance(SOON).await;
    let first = order(&food, "1", "mina").await;
    food.world.advance(SOON).await;
    food.cancel(&first).await.expect("not cooking");
    food.world.advance(SOON).await;
    for other in ["joon", "stranger"] {
        order(&food, other, other).await;
    }
    let declined = Order { customer: "customers/mina".to_owned(), ..wish("tok_declined") };
    food.order("2", &declined).await.expect_err("no money");
    food.world.settle().await;
    food.world.advance(SOON).await;

    let told = food.phone("mina").await;
    assert_eq!(told[1..3], [format!("Your order is placed: {first}."), format!("Your order is cancelled: {first}.")]);
    assert_eq!(told.len(), 4, "{told:?}");
    assert!(told[3].starts_with("Your order was not placed: orders/"), "{told:?}");
    assert_eq!(food.phone("joon").await.len(), 1, "the welcome alone");
    assert!(food.phone("stranger").await.is_empty());
    food.close().await;
}

#[tokio::test]
async fn who_is_registered_no_more_is_not_told_of_orders_and_a_notice_follows_when_notification_was_down() {
    let mut food = Food::open().await;
    let mina = food.register("first", &listening("mina")).await.expect("reached").name;
    food.world.settle().await;
    food.world.advance(SOON).await;
    food.world.restart_without(&["notification"]).await;
    let first = order(&food, "1", "mina").await;
    food.world.restart().await;
    food.world.settle().await;
    food.world.advance(SOON).await;
    assert_eq!(food.phone("mina").await[1..], [format!("Your order is placed: {first}.")]);
    food.unregister(&mina, "").await.expect("registered");
    food.world.settle().await;
    order(&food, "2", "mina").await;
    food.world.advance(SOON).await;
    assert_eq!(food.phone("mina").await.len(), 3, "welcome, placed, cancelled");
    food.close().await;
}
