//! A database is unavailable for a while. Afterwards every capture and refund is made.

use std::time::Duration;

use testkit::on_servers;

use super::{
    food::{Food, wish},
    overload::make_an_end,
};

/// Longer than two attempts that wait for SQLite's lock.
const LOCKED: Duration = Duration::from_secs(12);
/// How often the server becomes read-only, for how long, and how many orders are placed meanwhile.
const FLIPS: usize = 6;
const FLIP: Duration = Duration::from_millis(500);
const ORDERS_PER_FLIP: usize = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_is_made_once_the_providers_database_is_no_longer_locked() {
    if on_servers() {
        // On PostgreSQL, writers do not lock each other out.
        return;
    }
    let food = Food::open().await;
    let order = food.place("first").await.name;
    let provider = food.cluster.database("payment", payment::PROVIDER_SCHEMA);
    let mut connection = provider.connect().expect("a connection");
    connection.batch("BEGIN IMMEDIATE").expect("no other writer");
    let unlocked = tokio::spawn(async move {
        tokio::time::sleep(LOCKED).await;
        drop(connection);
    });
    food.cancel(&order).await.expect("not cooking");
    unlocked.await.expect("unlocked");
    assert_eq!(food.states_of(&order).await, ("CANCELLED".into(), "REFUNDED".into(), "GIVEN_BACK".into()));
    food.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn captures_and_refunds_are_made_on_a_server_that_is_read_only_now_and_then() {
    if !on_servers() {
        // SQLite has no such setting.
        return;
    }
    let food = Food::open().await;
    let mut connection = food.cluster.database("order", "order").connect().expect("a connection");
    let mut switch = |value: &str| {
        // Sessions keep the mode that they began with, so they are ended.
        let sql = format!(
            "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = {value}', \
             current_database()); END $$; SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = current_database() AND pid <> pg_backend_pid()"
        );
        connection.batch(&sql).expect("switched");
    };
    let mut placed = Vec::new();
    for flip in 0..FLIPS {
        let place = (0..ORDERS_PER_FLIP).map(|index| {
            let food = &food;
            async move { food.order(&format!("{flip}-{index}"), &wish("tok_visa")).await }
        });
        let orders = futures::future::join_all(place).await;
        switch("on");
        for order in orders.into_iter().flatten().step_by(2) {
            placed.push(order.name);
        }
        // Some captures and some refunds are in flight.
        for order in placed.iter().rev().take(ORDERS_PER_FLIP / 4) {
            let request = contracts::order::v1::CancelOrderRequest { name: order.clone(), ..Default::default() };
            let _ = food.orders().cancel_order(request).await;
        }
        tokio::time::sleep(FLIP).await;
        switch("off");
    }
    assert!(!placed.is_empty(), "no order was taken");
    make_an_end(&food).await;
    food.close().await;
}
