//! Store, delivery and dashboard are down: orders are still accepted, and all events arrive when they return.

use std::collections::BTreeSet;

use contracts::{
    order::v1::{Order, order::State as OrderState},
    store::v1::{Ticket, ticket::State as TicketState},
};

use super::{
    clients::{Clients, id, new_id, ticket_of},
    cluster::{FOOD_ALONE, ProcessCluster, RECOVERY},
    program::Program,
    temp_env::eventually,
};

const ORDERS: usize = 200;
/// One of this number of orders is cancelled before the store receives it.
const CANCELLED_EACH: usize = 10;

/// Places orders while the store is down; returns all of them, and the tickets of those that were cancelled.
async fn order_without_store(clients: &Clients) -> (Vec<Order>, BTreeSet<String>) {
    let orders = clients.place(ORDERS).await;
    let mut cancelled = BTreeSet::new();
    for order in orders.iter().step_by(CANCELLED_EACH) {
        let state = clients.cancel(&order.name, &new_id()).await.expect("it is not cooked yet").state();
        assert_eq!(state, OrderState::Cancelled);
        cancelled.insert(ticket_of(&order.name));
    }
    (orders, cancelled)
}

/// Each order has one ticket, and those of cancelled orders are cancelled: both events came, in order.
async fn everything_arrives(cluster: &ProcessCluster, orders: &[Order], cancelled: &BTreeSet<String>) {
    let clients = cluster.clients();
    let tickets = eventually("every ticket to arrive", RECOVERY, || async {
        let tickets = clients.tickets().await.map_err(|refusal| refusal.to_string())?;
        let is_cancelled = |ticket: &Ticket| ticket.state() == TicketState::Cancelled;
        let done = tickets.iter().filter(|ticket| is_cancelled(ticket)).count();
        if tickets.len() >= orders.len() && done >= cancelled.len() {
            Ok(tickets)
        } else {
            Err(tickets.len().to_string())
        }
    })
    .await;
    let found: BTreeSet<_> = tickets.iter().map(|ticket| id(&ticket.name).to_owned()).collect();
    let wanted: BTreeSet<_> = orders.iter().map(|order| order.uid.clone()).collect();
    assert_eq!((tickets.len(), found), (orders.len(), wanted), "each ticket once");
    for ticket in tickets {
        let expected = if cancelled.contains(&ticket.name) { TicketState::Cancelled } else { TicketState::Open };
        assert_eq!(ticket.state(), expected, "{}", ticket.name);
    }
    cluster.becomes_clean(RECOVERY).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs servers: make test"]
async fn orders_are_taken_while_store_delivery_and_dashboard_are_down_and_arrive_when_they_return() {
    let mut cluster = ProcessCluster::split(FOOD_ALONE).await;
    cluster.program("order").start().await;
    cluster.program("payment").start().await;
    let (orders, cancelled) = order_without_store(&cluster.clients()).await;
    cluster.start().await;
    everything_arrives(&cluster, &orders, &cancelled).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_process_catches_up_with_what_order_and_payment_did_alone() {
    let mut cluster = ProcessCluster::whole();
    let mut alone = Program::new(cluster.temp_env.folder(), "alone", &["serve", "order", "payment"]);
    alone.set("JUMUN_DATA_DIR", cluster.temp_env.path("data").display().to_string());
    alone.start().await;
    let (orders, cancelled) = order_without_store(&Clients::new(|_| alone.url())).await;
    alone.terminate();
    assert!(alone.until_ended().await.success());
    cluster.start().await;
    everything_arrives(&cluster, &orders, &cancelled).await;
}
