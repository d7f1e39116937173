//! A process that ended in whatever way continues at the next start.

use std::time::Duration;

use contracts::order::v1::{Order, order::State as OrderState};

use super::{
    clients::{Clients, new_id, wish},
    cluster::{FOOD_ALONE, ProcessCluster, RECOVERY},
    load::{Load, sum, verify},
    temp_env::eventually,
};

/// How long customers order before and after SIGTERM.
const UNDER_LOAD: Duration = Duration::from_millis(1_500);

/// Orders, of which the first is accepted; returns them with their request ids.
async fn live(clients: &Clients) -> Vec<(String, Order)> {
    let mut orders = Vec::new();
    for _ in 0..5 {
        let request_id = new_id();
        let order = clients.order(&wish("tok_visa"), &request_id).await.expect("an order");
        orders.push((request_id, order));
    }
    eventually("the ticket to be accepted", RECOVERY, || clients.accept(&orders[0].1.name, "accept")).await;
    orders
}

/// Fails unless every order is as it was and continues.
async fn goes_on(cluster: &ProcessCluster, orders: &[(String, Order)]) {
    let clients = cluster.clients();
    clients.order_becomes(&orders[0].1.name, OrderState::Accepted).await;
    for (request_id, order) in orders {
        let repeated = clients.order(&wish("tok_visa"), request_id).await.expect("the order is placed");
        assert_eq!(&repeated, order, "the same answer as before");
    }
    let last = &orders[4].1.name;
    let cancelled = clients.cancel(last, &new_id()).await.expect("it is not cooked yet");
    assert_eq!(cancelled.state(), OrderState::Cancelled);
    assert_eq!(clients.place(1).await.len(), 1);
    cluster.becomes_clean(RECOVERY).await;
}

#[tokio::test]
async fn a_second_start_goes_on_where_the_first_stopped() {
    let mut cluster = ProcessCluster::whole();
    cluster.start().await;
    let orders = live(&cluster.clients()).await;
    cluster.program("order").terminate();
    assert_eq!(cluster.program("order").until_ended().await.code(), Some(0));
    cluster.start().await;
    goes_on(&cluster, &orders).await;
}

#[tokio::test]
async fn a_second_start_goes_on_where_the_first_was_killed() {
    let mut cluster = ProcessCluster::whole();
    cluster.start().await;
    let orders = live(&cluster.clients()).await;
    cluster.program("order").kill();
    cluster.start().await;
    goes_on(&cluster, &orders).await;
}

/// SIGTERM to one process while customers order.
async fn ends_under_load(mut cluster: ProcessCluster, context: &str) {
    cluster.start().await;
    let clients = cluster.clients();
    let load = Load::start(&clients, 6);
    tokio::time::sleep(UNDER_LOAD).await;
    cluster.program(context).terminate();
    let ended = cluster.program(context).until_ended().await;
    assert_eq!(ended.code(), Some(0), "{}", cluster.program(context).logged());
    cluster.start().await;
    tokio::time::sleep(UNDER_LOAD).await;
    let attempts = load.end().await;
    assert!(sum(&attempts).acknowledged > 20, "too little happened: {}", sum(&attempts));
    clients.every_order_is_final().await;
    verify(&attempts, &clients).await;
    cluster.becomes_clean(RECOVERY).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_during_load_loses_no_acknowledged_order() {
    ends_under_load(ProcessCluster::whole(), "order").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs servers: make test"]
async fn sigterm_during_load_of_payment_alone_loses_no_acknowledged_order() {
    ends_under_load(ProcessCluster::split(FOOD_ALONE).await, "payment").await;
}
