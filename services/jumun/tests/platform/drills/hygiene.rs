//! Hostile clients: streams that are reset at once, bodies too large, gzip bombs, connections that send nothing or send
//! too slowly. The process stays small, and other clients are served.

mod attacks;
mod bomb;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use contracts::{
    bench::v1::{EchoRequest, bench_service_client::BenchServiceClient},
    order::v1::{ListOrdersRequest, order_service_client::OrderServiceClient},
};
use tokio::task::JoinHandle;

use super::load::quantile;
use crate::platform::processes::{clients::channel, cluster::ProcessCluster, program::memory_mb};

/// The memory limit of the process.
const MAX_RESIDENT_MB: u64 = 200;
/// The pause between two calls of the normal client, and how long each may take.
const CALL_EVERY: Duration = Duration::from_millis(10);
const CALL_WITHIN: Duration = Duration::from_secs(5);
/// Silent connections are closed within this time.
const LET_GO_WITHIN: Duration = Duration::from_secs(60);

struct Scale {
    resets: usize,
    large_bodies: usize,
    bombs: usize,
    /// Connections of each kind that never send a request.
    half_open: usize,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_clients_neither_bloat_the_process_nor_keep_it_from_others() {
    drill(&Scale { resets: 1000, large_bodies: 20, bombs: 20, half_open: 100 }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes a minute: make drill-hygiene"]
async fn full() {
    drill(&Scale { resets: 10_000, large_bodies: 200, bombs: 500, half_open: 1000 }).await;
}

#[tokio::test]
async fn reflection_describes_the_services_unless_it_is_off() {
    for (reflection, code) in [("on", None), ("off", Some("12"))] {
        let mut cluster = ProcessCluster::whole();
        cluster.set("JUMUN_REFLECTION", reflection);
        cluster.start().await;
        let answered = attacks::open_reflection(cluster.program("order").address).await;
        assert_eq!(answered.as_deref(), code, "reflection is {reflection}");
    }
}

async fn drill(scale: &Scale) {
    let mut cluster = ProcessCluster::whole();
    cluster.set("RUST_LOG", "warn,jumun=info");
    cluster.start().await;
    let (address, pid) = (cluster.program("order").address, cluster.program("order").pid());
    let before = memory_mb(pid, "VmRSS");
    let normal = Normal::start(address, pid);
    println!("\nresident before: {before} MB");
    let phase = |name: &str, begun: Instant| {
        println!("{name:<44}{:>8.1} s{:>8} MB", begun.elapsed().as_secs_f64(), memory_mb(pid, "VmRSS"));
    };

    let begun = Instant::now();
    let silent = attacks::half_open(address, scale.half_open).await;
    let endless = attacks::endless_headers(address, scale.half_open).await;
    phase(&format!("{} half-open connections", silent.len() + endless.len()), begun);
    let begun = Instant::now();
    attacks::rapid_resets(address, scale.resets).await;
    phase(&format!("{} rapid resets", scale.resets), begun);
    let begun = Instant::now();
    attacks::large_bodies(address, scale.large_bodies).await;
    phase(&format!("{} bodies of 5 MiB", scale.large_bodies), begun);
    let begun = Instant::now();
    attacks::gzip_bombs(address, scale.bombs).await;
    phase(&format!("{} gzip bombs", scale.bombs), begun);
    let begun = Instant::now();
    tokio::time::timeout(LET_GO_WITHIN, attacks::all_let_go(silent)).await.expect("silent connections are closed");
    phase("the half-open connections are closed", begun);

    let seen = normal.end().await;
    println!(
        "meanwhile: {} normal calls, none failed, p99 {:.1} ms; peak resident {} MB",
        seen.calls.len(),
        quantile(seen.calls.clone(), 0.99).as_secs_f64() * 1e3,
        seen.peak_mb
    );
    assert!(seen.calls.len() > 20 && seen.peak_mb < MAX_RESIDENT_MB);
}

/// A normal client during the attacks, which also reads the process's memory.
struct Normal {
    end: Arc<AtomicBool>,
    calling: JoinHandle<Seen>,
}

struct Seen {
    calls: Vec<Duration>,
    peak_mb: u64,
}

impl Normal {
    fn start(address: SocketAddr, pid: u32) -> Self {
        let end = Arc::new(AtomicBool::new(false));
        Self { end: end.clone(), calling: tokio::spawn(keep_calling(address, pid, end)) }
    }

    async fn end(self) -> Seen {
        self.end.store(true, Relaxed);
        self.calling.await.expect("every normal call is answered")
    }
}

async fn keep_calling(address: SocketAddr, pid: u32, end: Arc<AtomicBool>) -> Seen {
    let url = format!("http://{address}");
    let mut seen = Seen { calls: Vec::new(), peak_mb: 0 };
    let mut orders = OrderServiceClient::new(channel(&url));
    while !end.load(Relaxed) {
        let begun = Instant::now();
        // A new connection each time: the listener must accept it, too.
        let mut bench = BenchServiceClient::new(channel(&url));
        let calls = async {
            bench.echo(EchoRequest {}).await.expect("an empty method");
            orders.list_orders(ListOrdersRequest::default()).await.expect("a page of orders");
        };
        tokio::time::timeout(CALL_WITHIN, calls).await.expect("a normal client is served");
        seen.calls.push(begun.elapsed());
        seen.peak_mb = seen.peak_mb.max(memory_mb(pid, "VmRSS"));
        tokio::time::sleep(CALL_EVERY).await;
    }
    seen
}
