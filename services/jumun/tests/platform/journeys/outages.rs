//! Requirements §1.1, sentences 1, 6 and 7: a context is down or overloaded.

use std::time::{Duration, Instant};

use contracts::{order::v1::order::State, store::v1::ticket::State as TicketState};
use engine::{storage::Connection, storage::Database};
use futures::{StreamExt, stream};
use jumun_core::reason_of;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::{
    food::{ABANDONED, Food, order_named_by, wish},
    overload::make_an_end,
    paying::assert_unconfirmed,
};

/// More orders than payment queues, and how many are in flight.
const MANY: usize = 5_200;
const AT_ONCE: usize = 2_000;

#[tokio::test]
async fn when_payment_is_down_there_is_a_clear_error_and_no_order_or_charge_is_left_behind() {
    let mut food = Food::open().await;
    food.cluster.restart_without(&["payment"]).await;
    let error = food.order("first", &wish("tok_visa")).await.expect_err("payment is down");
    assert_unconfirmed(&error, Code::Unavailable, "PAYMENT_UNAVAILABLE");
    let order = order_named_by(&error);
    // The outcome is still unknown, so the recovery does not guess.
    food.cluster.advance(ABANDONED).await;
    assert_eq!(food.get(&order).await.state(), State::Pending);
    food.cluster.restart().await;
    food.cluster.advance(ABANDONED).await;
    assert_eq!(food.states_of(&order).await, ("REJECTED".into(), "VOIDED".into(), "RELEASED".into()));
    food.close().await;
}

#[tokio::test]
async fn with_store_and_delivery_down_orders_are_still_taken_and_they_catch_up() {
    let mut food = Food::open().await;
    food.cluster.restart_without(&["store", "delivery"]).await;
    let mut placed = Vec::new();
    for index in 0..10 {
        placed.push(food.place(&index.to_string()).await.name);
        food.cluster.advance(Duration::from_secs(3600)).await;
    }
    food.cancel(&placed[0]).await.expect("it is not cooking");
    food.cluster.restart().await;
    assert_eq!(food.ticket(&placed[0]).await.expect("a ticket").state(), TicketState::Cancelled);
    for order in &placed[1..] {
        assert_eq!(food.ticket(order).await.expect("a ticket").state(), TicketState::Open);
        food.accept(order).await.expect("open");
        assert_eq!(food.get(order).await.state(), State::Accepted);
    }
    food.close().await;
}

#[tokio::test]
async fn the_dashboard_catches_up_with_what_happened_while_it_was_down() {
    let mut food = Food::open().await;
    food.cluster.restart_without(&["dashboard"]).await;
    let order = food.place("first").await.name;
    food.accept(&order).await.expect("open");
    food.cluster.restart().await;
    assert_eq!(food.view(&order).await.state, "ACCEPTED");
    food.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_payment_overloaded_new_orders_are_rejected_quickly() {
    let food = Food::open().await;
    let provider = food.cluster.database("payment", payment::PROVIDER_SCHEMA);
    let stalled = stall(&provider);
    let flood = stream::iter(0..MANY).map(|index| {
        let food = &food;
        async move { food.order(&index.to_string(), &wish("tok_visa")).await.expect_err("payment is stalled") }
    });
    let answers: Vec<Status> = flood.buffer_unordered(AT_ONCE).collect().await;
    // By now the circuit is open. A few probes are let through to see whether payment still hangs; the other calls are
    // rejected at once.
    let mut next = 0..10;
    let is_quick = async |number: i32| {
        let start = Instant::now();
        food.order(&format!("next-{number}"), &wish("tok_visa")).await.expect_err("payment is stalled");
        start.elapsed() < Duration::from_millis(500)
    };
    while !is_quick(next.next().expect("an order is rejected at once")).await {}
    drop(stalled);
    let count = |reason: &str| answers.iter().filter(|error| reason_of(error) == reason).count();
    let early = count("PAYMENT_OVERLOADED") + count("OVERLOADED") + count("PAYMENT_UNAVAILABLE");
    assert!(early > 0, "no order was rejected early");
    for error in &answers {
        match error.code() {
            Code::ResourceExhausted | Code::DeadlineExceeded | Code::Unavailable => {
                assert!(error.get_details_retry_info().is_some(), "{error:?}");
            }
            _ => panic!("{error:?}"),
        }
    }

    make_an_end(&food).await;
    food.close().await;
}

/// Blocks all other writers for as long as the connection lives.
fn stall(database: &Database) -> Connection {
    let mut connection = database.connect().expect("a connection");
    let lock = match connection {
        Connection::Sqlite(_) => "BEGIN IMMEDIATE",
        Connection::Postgres(_) => {
            "SET idle_in_transaction_session_timeout = 0; BEGIN; LOCK TABLE charges IN ACCESS EXCLUSIVE MODE"
        }
    };
    connection.batch(lock).expect("no other writer");
    connection
}
