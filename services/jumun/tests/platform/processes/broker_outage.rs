//! The broker is down while orders are placed: no caller gets an error, and afterwards every event arrives.

use std::time::Duration;

use contracts::admin::v1::{
    GetOutboxStatusRequest, admin_service_client::AdminServiceClient, get_outbox_status_response::Outbox,
};

use super::{
    broker::Broker,
    clients::{answer, channel},
    cluster::ProcessCluster,
    temp_env::eventually,
};

/// Orders while the broker is down. Each leaves an event of order and at least one of payment, so together they are
/// more than one JetStream context lets wait for an acknowledgement.
const ORDERS: usize = 3_000;
/// The outboxes are empty again within this time.
const BOUND: Duration = Duration::from_secs(60);
/// A relay is reported as stalled after 10 s.
const STALL_BOUND: Duration = Duration::from_secs(20);

async fn outboxes(cluster: &ProcessCluster) -> Result<Vec<Outbox>, String> {
    let mut admin = AdminServiceClient::new(channel(&cluster.url("order")));
    let found = answer(admin.get_outbox_status(GetOutboxStatusRequest {})).await;
    found.map(|found| found.outboxes).map_err(|refusal| refusal.to_string())
}

async fn until_empty(cluster: &ProcessCluster) {
    eventually("the outboxes to be empty", BOUND, async || {
        let found = outboxes(cluster).await?;
        if found.iter().all(|outbox| outbox.unpublished_count == 0) { Ok(()) } else { Err(format!("{found:?}")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs servers: make test"]
async fn what_thousands_of_orders_announced_while_the_broker_was_away_is_published_when_it_is_back() {
    let mut broker = Broker::start().await;
    let mut cluster = ProcessCluster::split_on(&[&super::super::contexts::names()], broker.url()).await;
    cluster.start().await;
    let clients = cluster.clients();
    clients.place(1).await;
    until_empty(&cluster).await;

    broker.kill();
    clients.place(ORDERS).await;
    eventually("the relay of order to be stalled", STALL_BOUND, async || {
        let found = outboxes(&cluster).await?;
        let order = found.iter().find(|outbox| outbox.context == "order");
        if order.is_some_and(|order| order.stalled_since_time.is_some()) { Ok(()) } else { Err(format!("{order:?}")) }
    })
    .await;
    broker.start_again().await;
    until_empty(&cluster).await;
    let logged = cluster.program("order").logged();
    for said in ["the relay is stalled", "the relay publishes again"] {
        assert!(logged.lines().any(|line| line.contains(said) && line.contains("\"order\"")), "{said}");
    }

    // The same for a process that starts with a full outbox.
    broker.kill();
    clients.place(ORDERS / 2).await;
    cluster.program("order").kill();
    broker.start_again().await;
    cluster.start().await;
    until_empty(&cluster).await;
    cluster.becomes_clean(BOUND).await;
}
