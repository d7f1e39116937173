//! A dead collector slows no request, and does not delay the end of a process.

use std::time::{Duration, Instant};

use tokio::net::TcpListener;

use super::{
    clients::{new_id, wish},
    cluster::ProcessCluster,
    temp_env::free_address,
};

const WARM_UP: usize = 10;
const ORDERS: usize = 50;
/// A busy machine is uneven; a request that waits for a collector would wait for seconds.
const TOLERANCE: u32 = 3;
const ALLOWANCE: Duration = Duration::from_millis(20);

/// The median time of an order, one after another, with spans sent to `endpoint`.
async fn median(endpoint: Option<String>) -> Duration {
    let mut cluster = ProcessCluster::whole();
    if let Some(endpoint) = &endpoint {
        cluster.set("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint);
        cluster.set("OTEL_BSP_SCHEDULE_DELAY", "100");
    }
    cluster.start().await;
    let clients = cluster.clients();
    clients.place(WARM_UP).await;
    let mut times = Vec::new();
    for _ in 0..ORDERS {
        let begun = Instant::now();
        clients.order(&wish("tok_visa"), &new_id()).await.expect("an order");
        times.push(begun.elapsed());
    }
    cluster.program("order").terminate();
    assert!(cluster.program("order").until_ended().await.success());
    times.sort();
    times[ORDERS / 2]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_collector_slows_no_request() {
    let without = median(None).await;
    let absent = median(Some(format!("http://{}", free_address()))).await;
    // The system accepts connections for it, and it never answers.
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let hanging = median(Some(format!("http://{}", silent.local_addr().expect("an address")))).await;
    eprintln!("median of an order: {without:?} without a collector, {absent:?} absent, {hanging:?} hanging");
    for with in [absent, hanging] {
        assert!(with <= without * TOLERANCE + ALLOWANCE, "{with:?} with a dead collector, {without:?} without");
    }
}
