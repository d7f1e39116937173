//! Requirements §1.1, sentence 5: the customer can look at the status at any time.

use std::time::Duration;

use contracts::order::v1::{
    Order, WatchOrderRequest,
    order::State::{
        self, Accepted, Cancelled, Completed, Cooking, Pending, PickedUp, Placed, Ready, Rejected, Voiding,
    },
};
use tonic::{Code, Status, Streaming};

use super::food::{ABANDONED, Food, inner, order_named_by, wish};

async fn watch(food: &Food, name: &str) -> Result<Streaming<Order>, Status> {
    inner(food.orders().watch_order(WatchOrderRequest { name: name.to_owned() }).await)
}

/// Every state that is shown, until the stream ends.
async fn shown(mut stream: Streaming<Order>) -> Vec<State> {
    let mut states = Vec::new();
    loop {
        let next = tokio::time::timeout(Duration::from_secs(10), stream.message()).await;
        let Some(order) = next.expect("a state in time").expect("no error") else { return states };
        states.push(order.state());
    }
}

/// Watches in a task of its own.
fn beside(stream: Streaming<Order>) -> tokio::task::JoinHandle<Vec<State>> {
    tokio::spawn(shown(stream))
}

#[tokio::test]
async fn watching_shows_each_state_in_order_and_ends_with_the_last() {
    let food = Food::open().await;
    let order = food.place("first").await.name;
    let watching = beside(watch(&food, &order).await.expect("a stream"));
    food.accept(&order).await.expect("open");
    food.start_cooking(&order).await.expect("accepted");
    food.finish_cooking(&order).await.expect("cooking");
    food.start_delivery(&order).await.expect("scheduled");
    food.pick_up(&order).await.expect("ready");
    food.complete(&order).await.expect("picked up");
    let states = watching.await.expect("it ends");
    assert_eq!(states, [Placed, Accepted, Cooking, Ready, PickedUp, Completed]);
    food.close().await;
}

#[tokio::test]
async fn watching_an_unpaid_order_shows_how_it_is_given_up() {
    let food = Food::open().await;
    let error = food.order("first", &wish("tok_error")).await.expect_err("the outcome is unknown");
    let mut stream = watch(&food, &order_named_by(&error)).await.expect("a stream");
    let first = stream.message().await.expect("no error").expect("the order as it is");
    assert_eq!(first.state(), Pending);
    let watching = beside(stream);
    food.cluster.advance(ABANDONED).await;
    assert_eq!(watching.await.expect("it ends"), [Voiding, Rejected]);
    food.close().await;
}

#[tokio::test]
async fn many_can_watch_and_one_order_is_not_another() {
    let food = Food::open().await;
    let (first, second) = (food.place("first").await.name, food.place("second").await.name);
    let mut watching = Vec::new();
    for _ in 0..10 {
        watching.push(beside(watch(&food, &first).await.expect("a stream")));
    }
    food.accept(&second).await.expect("open");
    food.cancel(&first).await.expect("not cooking");
    for watching in watching {
        assert_eq!(watching.await.expect("it ends").last(), Some(&Cancelled));
    }
    food.close().await;
}

#[tokio::test]
async fn watching_a_final_order_shows_it_once_and_an_unknown_order_is_not_found() {
    let food = Food::open().await;
    let order = food.place("first").await.name;
    food.cancel(&order).await.expect("not cooking");
    assert_eq!(shown(watch(&food, &order).await.expect("a stream")).await, [Cancelled]);
    assert_eq!(watch(&food, "orders/nobody").await.expect_err("no order").code(), Code::NotFound);
    food.close().await;
}
