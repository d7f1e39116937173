//! The broker loses acknowledged events: the relays publish them again, and every view becomes complete by itself.

use std::time::Duration;

use contracts::{
    admin::v1::{GetOutboxStatusRequest, admin_service_client::AdminServiceClient},
    order::v1::Order,
};

use super::{
    broker::Broker,
    clients::{Clients, answer, channel, new_id},
    cluster::{FOOD_ALONE, ProcessCluster, RECOVERY},
    temp_env::eventually,
};

/// Orders each before, during and after the loss.
const ORDERS: usize = 30;
/// Everything is as if nothing had been lost within this time.
const BOUND: Duration = Duration::from_secs(60);

/// Waits until the broker has all events of these contexts.
async fn until_published(cluster: &ProcessCluster, contexts: &[&str]) {
    for context in contexts {
        let mut admin = AdminServiceClient::new(channel(&cluster.url(context)));
        let what = format!("the broker to have all of {context}");
        eventually(&what, RECOVERY, async || {
            let found = answer(admin.get_outbox_status(GetOutboxStatusRequest {})).await;
            let found = found.map_err(|refusal| refusal.to_string())?.outboxes;
            if found.iter().all(|outbox| outbox.unpublished_count == 0) { Ok(()) } else { Err(format!("{found:?}")) }
        })
        .await;
    }
}

/// Places orders; the customers cancel every third.
async fn place_and_cancel(clients: &Clients) -> Vec<Order> {
    let orders = clients.place(ORDERS).await;
    for order in orders.iter().step_by(3) {
        clients.cancel(&order.name, &new_id()).await.expect("it is not cooked yet");
    }
    orders
}

/// The store accepts every third order, none of which is cancelled.
async fn accept(clients: &Clients, orders: &[Order]) {
    for order in orders.iter().skip(1).step_by(3) {
        let request_id = new_id();
        eventually("the ticket to be accepted", RECOVERY, || clients.accept(&order.name, &request_id)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs servers: make test"]
async fn a_broker_that_loses_everything_while_running_is_fed_again_and_every_view_is_whole() {
    let mut broker = Broker::start().await;
    let mut cluster = ProcessCluster::split_on(FOOD_ALONE, broker.url()).await;
    cluster.start().await;
    let clients = cluster.clients();
    let before = place_and_cancel(&clients).await;
    cluster.program("dashboard").kill();
    cluster.program("delivery").kill();
    accept(&clients, &before[..ORDERS / 2]).await;
    until_published(&cluster, &["order", "payment", "store"]).await;

    broker.kill();
    broker.forget();
    accept(&clients, &before[ORDERS / 2..]).await;
    let during = place_and_cancel(&clients).await;

    broker.start_again().await;
    cluster.start().await;
    let after = place_and_cancel(&clients).await;
    for orders in [&during, &after] {
        accept(&clients, orders).await;
    }
    cluster.becomes_clean(BOUND).await;
    assert_eq!(clients.tickets().await.expect("tickets").len(), 3 * ORDERS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs servers: make test"]
async fn a_broker_that_lost_everything_while_nobody_ran_is_fed_again() {
    let mut broker = Broker::start().await;
    let mut cluster = ProcessCluster::split_on(FOOD_ALONE, broker.url()).await;
    cluster.program("order").start().await;
    cluster.program("payment").start().await;
    let clients = cluster.clients();
    place_and_cancel(&clients).await;
    until_published(&cluster, &["order", "payment"]).await;
    for context in ["order", "payment"] {
        cluster.program(context).terminate();
        assert!(cluster.program(context).until_ended().await.success());
    }

    broker.kill();
    broker.forget();
    broker.start_again().await;
    cluster.start().await;
    cluster.becomes_clean(BOUND).await;
    assert_eq!(clients.tickets().await.expect("tickets").len(), ORDERS);
}
