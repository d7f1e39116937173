//! Requirements §1.1, sentences 1 to 3 and 5: from the order to the customer's hands.

use contracts::{
    delivery::v1::delivery::State as DeliveryState, order::v1::order::State,
    payment::v1::payment::State as PaymentState, store::v1::ticket::State as TicketState,
};

use super::food::{Food, payment_name, wish, won};

#[tokio::test]
async fn a_customer_picks_items_and_orders_and_payment_happens_at_once() {
    let food = Food::open().await;
    let wish = wish("tok_visa");
    let order = food.order("first", &wish).await.expect("an order");
    assert_eq!(order.state(), State::Placed);
    assert_eq!((&order.customer, &order.store, &order.items), (&wish.customer, &wish.store, &wish.items));
    assert_eq!((order.total.clone(), order.payment.as_str()), (Some(won(22_000)), payment_name(&order.name).as_str()));
    let payment = food.payment_of(&order.name).await.expect("a payment");
    assert!(matches!(payment.state(), PaymentState::Authorized | PaymentState::Captured));
    assert_eq!((payment.payable, payment.amount), (order.name, order.total));
    food.close().await;
}

#[tokio::test]
async fn the_order_reaches_the_store_as_a_ticket() {
    let food = Food::open().await;
    let order = food.place("first").await;
    let ticket = food.ticket(&order.name).await.expect("a ticket");
    assert_eq!((ticket.state(), &ticket.order, &ticket.store), (TicketState::Open, &order.name, &order.store));
    let items: Vec<_> = ticket.items.iter().map(|line| (line.item.as_str(), line.quantity)).collect();
    assert_eq!(items, [("items/bibimbap", 2), ("items/sikhye", 1)]);
    food.close().await;
}

#[tokio::test]
async fn the_store_accepts_starts_cooking_and_finishes_cooking() {
    let food = Food::open().await;
    let order = food.place("first").await.name;
    assert_eq!(food.accept(&order).await.expect("open").state(), TicketState::Accepted);
    assert_eq!(food.get(&order).await.state(), State::Accepted);
    assert_eq!(food.start_cooking(&order).await.expect("accepted").state(), TicketState::Cooking);
    assert_eq!(food.get(&order).await.state(), State::Cooking);
    assert_eq!(food.finish_cooking(&order).await.expect("cooking").state(), TicketState::Cooked);
    assert_eq!(food.get(&order).await.state(), State::Ready);
    food.close().await;
}

#[tokio::test]
async fn a_rider_starts_the_delivery_picks_it_up_and_completes_it() {
    let food = Food::open().await;
    let order = food.place("first").await.name;
    food.accept(&order).await.expect("open");
    assert_eq!(food.delivery(&order).await.expect("scheduled").state(), DeliveryState::Scheduled);
    assert_eq!(food.start_delivery(&order).await.expect("scheduled").rider, "riders/joon");
    food.start_cooking(&order).await.expect("accepted");
    food.finish_cooking(&order).await.expect("cooking");
    assert_eq!(food.pick_up(&order).await.expect("ready").state(), DeliveryState::PickedUp);
    assert_eq!(food.get(&order).await.state(), State::PickedUp);
    assert_eq!(food.complete(&order).await.expect("picked up").state(), DeliveryState::Completed);
    assert_eq!(food.get(&order).await.state(), State::Completed);
    assert_eq!(food.states_of(&order).await, ("COMPLETED".into(), "CAPTURED".into(), "TAKEN".into()));
    food.close().await;
}

#[tokio::test]
async fn the_dashboard_shows_every_orders_whole_course() {
    let food = Food::open().await;
    let order = deliver(&food, "first").await;
    let view = food.view(&order).await;
    let happened: Vec<_> = view.history.iter().map(|entry| entry.state.as_str()).collect();
    let mut expected = [
        "PAYMENT_AUTHORIZED",
        "ORDER_PLACED",
        "PAYMENT_CAPTURED",
        "TICKET_OPENED",
        "TICKET_ACCEPTED",
        "DELIVERY_SCHEDULED",
        "COOKING_STARTED",
        "COOKING_FINISHED",
        "DELIVERY_STARTED",
        "DELIVERY_PICKED_UP",
        "DELIVERY_COMPLETED",
        "ORDER_COMPLETED",
    ];
    // The clock stands still, so the events of different contexts have the same time.
    let mut sorted = happened.clone();
    sorted.sort_unstable();
    expected.sort_unstable();
    assert_eq!(sorted, expected);
    assert_eq!(
        (view.state.as_str(), view.payment_state.as_str(), view.rider.as_str()),
        ("COMPLETED", "CAPTURED", "riders/joon")
    );
    assert_eq!((view.order, view.customer, view.total), (order, "customers/mina".to_owned(), Some(won(22_000))));
    food.close().await;
}

#[tokio::test]
async fn every_answer_to_a_customer_survives_a_restart_at_any_step() {
    let mut food = Food::open().await;
    let order = food.place("first").await.name;
    food.cluster.restart().await;
    food.accept(&order).await.expect("open");
    food.cluster.restart().await;
    food.start_cooking(&order).await.expect("accepted");
    food.cluster.restart().await;
    food.finish_cooking(&order).await.expect("cooking");
    food.start_delivery(&order).await.expect("scheduled");
    food.cluster.restart().await;
    food.pick_up(&order).await.expect("ready");
    food.complete(&order).await.expect("picked up");
    food.cluster.restart().await;
    assert_eq!(food.get(&order).await.state(), State::Completed);
    assert_eq!(food.view(&order).await.state, "COMPLETED");
    food.close().await;
}

/// Takes an order through to its delivery.
async fn deliver(food: &Food, request_id: &str) -> String {
    let order = food.place(request_id).await.name;
    food.accept(&order).await.expect("open");
    food.start_cooking(&order).await.expect("accepted");
    food.finish_cooking(&order).await.expect("cooking");
    food.start_delivery(&order).await.expect("scheduled");
    food.pick_up(&order).await.expect("ready");
    food.complete(&order).await.expect("picked up");
    order
}
