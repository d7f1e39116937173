//! Requirements §1.2: coffee, from the order to the counter.

use std::time::Duration;

use contracts::{
    kitchen::v1::{CancelProductionRequest, production::State as ProductionState},
    order::v1::order::State,
};
use jumun_core::reason_of;
use tonic::Code;

use super::{
    coffee::{Coffee, production_name},
    food::ABANDONED,
};

const COFFEE: &str = "items/americano";
const CAKE: &str = "items/cheesecake";

#[tokio::test]
async fn a_customer_orders_coffee_and_the_order_reaches_the_kitchen() {
    let coffee = Coffee::open(&[(COFFEE, 10)]).await;
    let order = coffee.order(&[(COFFEE, 2)]).await.name;
    let production = coffee.production(&order).await.expect("a production");
    assert_eq!((production.order.as_str(), production.item.as_str(), production.quantity), (order.as_str(), COFFEE, 2));
    assert_eq!(coffee.food.ticket(&order).await.expect_err("it is for the kitchen").code(), Code::NotFound);
    coffee.close().await;
}

#[tokio::test]
async fn with_enough_stock_it_is_reduced_by_exactly_the_ordered_quantity_and_production_starts() {
    let coffee = Coffee::open(&[(COFFEE, 10)]).await;
    let order = coffee.order_that_is(&[(COFFEE, 3)], State::Producing).await;
    assert_eq!(coffee.production(&order).await.expect("a production").state(), ProductionState::Started);
    assert_eq!(coffee.stock(COFFEE).await, 7);
    coffee.order_that_is(&[(COFFEE, 7)], State::Producing).await;
    assert_eq!(coffee.stock(COFFEE).await, 0);
    coffee.close().await;
}

#[tokio::test]
async fn without_enough_stock_production_does_not_start_and_the_order_shows_it() {
    let coffee = Coffee::open(&[(COFFEE, 2)]).await;
    let order = coffee.order_that_is(&[(COFFEE, 3)], State::OutOfStock).await;
    let production = coffee.production(&order).await.expect("a production");
    assert_eq!((production.state(), production.missing.as_str()), (ProductionState::OutOfStock, COFFEE));
    assert_eq!((coffee.stock(COFFEE).await, coffee.food.view(&order).await.state.as_str()), (2, "OUT_OF_STOCK"));
    // A smaller order is not blocked.
    coffee.order_that_is(&[(COFFEE, 2)], State::Producing).await;
    coffee.close().await;
}

#[tokio::test]
async fn an_unknown_product_is_out_of_stock_until_it_is_added_to_the_stock() {
    let coffee = Coffee::open(&[]).await;
    let order = coffee.order_that_is(&[(COFFEE, 1)], State::OutOfStock).await;
    let nameless = coffee.order_that_is(&[("한라봉 주스", 1)], State::OutOfStock).await;
    coffee.stock_up(COFFEE, 5).await.expect("a new product");
    assert_eq!(coffee.food.get(&order).await.state(), State::Producing);
    coffee.food.cancel(&nameless).await.expect("it never starts");
    coffee.food.cluster.advance(Duration::from_secs(1)).await;
    coffee.close().await;
}

#[tokio::test]
async fn when_production_completes_the_order_is_complete() {
    let coffee = Coffee::open(&[(COFFEE, 10)]).await;
    let order = coffee.order_that_is(&[(COFFEE, 1)], State::Producing).await;
    coffee.complete(&order).await.expect("started");
    assert_eq!(coffee.food.get(&order).await.state(), State::Completed);
    assert_eq!(coffee.food.states_of(&order).await, ("COMPLETED".into(), "CAPTURED".into(), "TAKEN".into()));
    let error = coffee.complete(&order).await.expect_err("it is made already");
    assert_eq!(reason_of(&error), "PRODUCTION_NOT_STARTED");
    coffee.close().await;
}

#[tokio::test]
async fn a_production_that_has_not_started_is_cancelled_and_the_payment_refunded() {
    let coffee = Coffee::open(&[(COFFEE, 1)]).await;
    let order = coffee.order_that_is(&[(COFFEE, 3)], State::OutOfStock).await;
    let cancelled = coffee.food.cancel(&order).await.expect("not started");
    assert_eq!((cancelled.state(), cancelled.state_reason.as_str()), (State::Cancelled, "CANCELLED_BY_CUSTOMER"));
    assert_eq!(coffee.production(&order).await.expect("a production").state(), ProductionState::Cancelled);
    assert_eq!(coffee.food.states_of(&order).await, ("CANCELLED".into(), "REFUNDED".into(), "GIVEN_BACK".into()));
    assert_eq!(coffee.food.cancel(&order).await.expect("again").state(), State::Cancelled);
    coffee.food.cluster.advance(Duration::from_secs(1)).await;
    // Later stock goes to other orders.
    coffee.restock(COFFEE, 9).await.expect("known");
    assert_eq!((coffee.stock(COFFEE).await, coffee.food.get(&order).await.state()), (10, State::Cancelled));
    coffee.close().await;
}

#[tokio::test]
async fn a_production_that_has_started_refuses_the_cancel() {
    let coffee = Coffee::open(&[(COFFEE, 10)]).await;
    let order = coffee.order_that_is(&[(COFFEE, 3)], State::Producing).await;
    let error = coffee.food.cancel(&order).await.expect_err("it is being made");
    assert_eq!((error.code(), reason_of(&error).as_str()), (Code::FailedPrecondition, "ORDER_NOT_CANCELLABLE"));
    assert_eq!((coffee.stock(COFFEE).await, coffee.food.get(&order).await.state()), (7, State::Producing));
    coffee.close().await;
}

#[tokio::test]
async fn with_the_kitchen_down_the_cancel_fails_and_nothing_changes() {
    let mut coffee = Coffee::open(&[(COFFEE, 1)]).await;
    let order = coffee.order_that_is(&[(COFFEE, 3)], State::OutOfStock).await;
    coffee.food.cluster.restart_without(&["kitchen"]).await;
    let error = coffee.food.cancel(&order).await.expect_err("the kitchen is down");
    assert_eq!((error.code(), reason_of(&error).as_str()), (Code::Unavailable, "KITCHEN_UNAVAILABLE"));
    assert_eq!(coffee.food.states_of(&order).await, ("OUT_OF_STOCK".into(), "CAPTURED".into(), "TAKEN".into()));
    coffee.food.cluster.restart().await;
    coffee.food.cancel(&order).await.expect("not started");
    coffee.food.cluster.advance(Duration::from_secs(1)).await;
    coffee.close().await;
}

#[tokio::test]
async fn with_the_kitchen_down_orders_are_still_taken_and_it_catches_up() {
    let mut coffee = Coffee::open(&[(COFFEE, 10)]).await;
    coffee.food.cluster.restart_without(&["kitchen"]).await;
    let order = coffee.order_that_is(&[(COFFEE, 3)], State::Placed).await;
    coffee.food.cluster.restart().await;
    assert_eq!((coffee.food.get(&order).await.state(), coffee.stock(COFFEE).await), (State::Producing, 7));
    coffee.close().await;
}

#[tokio::test]
async fn with_the_warehouse_down_production_waits_and_the_order_can_be_cancelled() {
    let mut coffee = Coffee::open(&[(COFFEE, 10)]).await;
    coffee.food.cluster.restart_without(&["warehouse"]).await;
    let waiting = coffee.order_that_is(&[(COFFEE, 3)], State::Placed).await;
    let unwanted = coffee.order_that_is(&[(COFFEE, 4)], State::Placed).await;
    coffee.food.cancel(&unwanted).await.expect("not started");
    coffee.food.cluster.advance(ABANDONED).await;
    assert_eq!(coffee.production(&waiting).await.expect("a production").state(), ProductionState::Taking);
    coffee.food.cluster.restart().await;
    coffee.food.cluster.advance(ABANDONED).await;
    assert_eq!((coffee.food.get(&waiting).await.state(), coffee.stock(COFFEE).await), (State::Producing, 7));
    coffee.close().await;
}

#[tokio::test]
async fn restocking_starts_the_productions_that_wait_oldest_first() {
    let coffee = Coffee::open(&[(COFFEE, 0)]).await;
    let mut orders = Vec::new();
    for quantity in [2, 5, 1, 2] {
        orders.push(coffee.order_that_is(&[(COFFEE, quantity)], State::OutOfStock).await);
    }
    coffee.restock(COFFEE, 4).await.expect("known");
    // Two for the first order, the rest for the next that it is enough for; nothing is left for the last.
    assert_states(&coffee, &orders, [State::Producing, State::OutOfStock, State::Producing, State::OutOfStock]).await;
    assert_eq!(coffee.stock(COFFEE).await, 1);
    coffee.restock(COFFEE, 6).await.expect("known");
    assert_states(&coffee, &orders, [State::Producing, State::Producing, State::Producing, State::Producing]).await;
    assert_eq!(coffee.stock(COFFEE).await, 0);
    coffee.close().await;
}

async fn assert_states(coffee: &Coffee, orders: &[String], expected: [State; 4]) {
    for (order, state) in orders.iter().zip(expected) {
        assert_eq!(coffee.food.get(order).await.state(), state, "{order}");
    }
}

#[tokio::test]
async fn an_order_of_several_products_starts_when_all_of_them_are_in_stock() {
    let coffee = Coffee::open(&[(COFFEE, 10), (CAKE, 0)]).await;
    let lines = [(COFFEE, 2), (CAKE, 1), (COFFEE, 1)];
    let order = coffee.order_that_is(&lines, State::OutOfStock).await;
    assert_eq!(coffee.production(&order).await.expect("a production").missing, CAKE);
    let unwanted = coffee.order_that_is(&lines, State::OutOfStock).await;
    assert_eq!(coffee.stock(COFFEE).await, 4, "the available stock is reserved for it");
    coffee.food.cancel(&unwanted).await.expect("not started");
    coffee.food.cluster.advance(Duration::from_secs(1)).await;
    assert_eq!(coffee.stock(COFFEE).await, 7, "and released with the cancellation");
    coffee.restock(CAKE, 2).await.expect("known");
    assert_eq!(coffee.food.get(&order).await.state(), State::Producing);
    assert_eq!((coffee.stock(COFFEE).await, coffee.stock(CAKE).await), (7, 1));
    coffee.close().await;
}

#[tokio::test]
async fn a_production_that_fails_gives_back_what_it_took_once_and_the_order_is_refunded() {
    let coffee = Coffee::open(&[(COFFEE, 10)]).await;
    let order = coffee.order_that_is(&[(COFFEE, 3)], State::Producing).await;
    coffee.fail(&order).await.expect("being made");
    for _ in 0..3 {
        coffee.food.cluster.advance(Duration::from_secs(1)).await;
    }
    assert_eq!(coffee.stock(COFFEE).await, 10);
    assert_eq!(coffee.food.states_of(&order).await, ("CANCELLED".into(), "REFUNDED".into(), "GIVEN_BACK".into()));
    assert_eq!(coffee.food.get(&order).await.state_reason, "PRODUCTION_FAILED");
    coffee.close().await;
}

#[tokio::test]
async fn the_customer_sees_every_step_in_the_view() {
    let coffee = Coffee::open(&[(COFFEE, 0)]).await;
    let order = coffee.order_that_is(&[(COFFEE, 1)], State::OutOfStock).await;
    coffee.restock(COFFEE, 1).await.expect("known");
    coffee.complete(&order).await.expect("started");
    let seen: Vec<_> = coffee.history(&order).await.into_iter().filter(|state| !state.starts_with("PAYMENT")).collect();
    let steps = ["PRODUCTION_OPENED", "OUT_OF_STOCK", "PRODUCTION_STARTED", "PRODUCTION_COMPLETED"];
    assert!(steps.iter().map(|step| seen.iter().position(|state| state == step)).is_sorted(), "{seen:?}");
    assert!(seen.iter().any(|state| state == "ORDER_COMPLETED"), "{seen:?}");
    assert_eq!(coffee.food.view(&order).await.state, "COMPLETED");
    coffee.close().await;
}

#[tokio::test]
async fn an_order_that_the_kitchen_has_not_received_can_be_cancelled_and_is_never_made() {
    let coffee = Coffee::open(&[(COFFEE, 10)]).await;
    let request = CancelProductionRequest { name: "productions/early".to_owned(), request_id: String::new() };
    let cancelled = coffee.kitchen().cancel_production(request).await.expect("never started").into_inner();
    assert_eq!(cancelled.state(), ProductionState::Cancelled);
    let delivered = coffee.food.place("first").await.name;
    let request = CancelProductionRequest { name: production_name(&delivered), request_id: String::new() };
    coffee.kitchen().cancel_production(request).await.expect("never started");
    assert_eq!(coffee.food.get(&delivered).await.state(), State::Placed, "the kitchen ignores orders for delivery");
    coffee.close().await;
}

#[tokio::test]
async fn the_kitchen_ignores_orders_for_delivery() {
    let coffee = Coffee::open(&[]).await;
    let order = coffee.food.place("first").await.name;
    assert_eq!(coffee.production(&order).await.expect_err("a store cooks it").code(), Code::NotFound);
    coffee.food.cancel(&order).await.expect("not cooking");
    coffee.close().await;
}
