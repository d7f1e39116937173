//! Payment is slow behind a mesh, and a hundred customers order at once: what the mesh's circuit breaker does,
//! what the application's own limits do, and what both do together.

use std::time::Duration;

use super::{
    load::{Callers, Tally},
    scrape::{metrics, sum},
};
use crate::platform::mesh::setup::Mesh;

/// Concurrent calls of the payment provider; each takes 400–620 ms.
const PLACES: u32 = 16;
/// The average capacity per second.
const CAPACITY: f64 = PLACES as f64 / 0.51;
/// Concurrent customers during the overload; and the load on an ordinary day, as a share of the capacity.
const CUSTOMERS: u32 = 100;
const ORDINARY: f64 = 0.6;
/// How long each phase lasts.
const LASTING: Duration = Duration::from_secs(15);
/// The time to settle after each phase; abandoned orders may take longer.
const SETTLING: Duration = Duration::from_secs(8);
const AUTHORIZE: &str = "rpc_method=\"jumun.payment.v1.PaymentService/AuthorizePayment\"";
const FOOD: &[(&str, usize)] = &[("order", 1), ("payment", 1), ("store", 1), ("delivery", 1), ("dashboard", 1)];

/// A DestinationRule that allows as many calls as payment can process and queue, and never ejects a single replica.
const TIGHT: &[&str] = &["contexts.payment.traffic.http2MaxRequests=24"];
/// One that limits nothing.
const WIDE: &[&str] = &[
    "contexts.payment.traffic.http2MaxRequests=1000000",
    "contexts.payment.traffic.outlier.gatewayErrors=1000000",
    "contexts.payment.traffic.outlier.errors=1000000",
    "contexts.payment.traffic.outlier.maxEjectionPercent=0",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes four minutes, and needs servers, Envoy and Go: make drill-breaker"]
async fn full() {
    println!("\n{} {:>13} {:>13}", Tally::head(), "available", "at payment/s");
    let none = drill("none", WIDE, "off").await;
    let rule = drill("DestinationRule", TIGHT, "off").await;
    let limiter = drill("application", WIDE, "on").await;
    let both = drill("both", TIGHT, "on").await;
    for [before, during, after] in [&rule, &limiter, &both] {
        assert!(during.goodput() >= none[1].goodput(), "protection does not reduce the throughput");
        assert!(after.goodput() >= 0.9 * before.goodput(), "after the overload the throughput recovers");
    }
    assert!(limiter[1].goodput() >= 0.8 * CAPACITY && both[1].goodput() >= 0.8 * CAPACITY, "the capacity is used");
}

/// The phases before, during and after the overload, with these protections.
async fn drill(name: &str, rule: &[&str], protection: &str) -> [Tally; 3] {
    let settings = [("JUMUN_PROVIDER_CALLS", PLACES.to_string()), ("JUMUN_OVERLOAD_PROTECTION", protection.to_owned())];
    let mesh = Mesh::start_with(FOOD, rule, &settings).await;
    let callers = Callers::new(&mesh.url(), 1);
    let before = phase(&mesh, &format!("{name}: before"), callers.come(ORDINARY * CAPACITY, LASTING)).await;
    let during = phase(&mesh, &format!("{name}: during"), callers.crowd(CUSTOMERS, LASTING)).await;
    tokio::time::sleep(SETTLING).await;
    let after = phase(&mesh, &format!("{name}: after"), callers.come(ORDINARY * CAPACITY, LASTING)).await;
    if protection == "on" {
        mesh.becomes_clean().await;
    }
    [before, during, after]
}

async fn phase(mesh: &Mesh, name: &str, asking: impl Future<Output = Tally>) -> Tally {
    let address = mesh.first("payment").program.address;
    let calls = async || sum(&metrics(address).await, "rpc_server_call_duration_seconds_count", AUTHORIZE);
    let before = calls().await;
    let tally = asking.await;
    let load = (calls().await - before) / tally.lasted.as_secs_f64();
    println!("{} {:>11.1} % {load:>13.1}", tally.row(name), 100.0 * tally.available());
    tally
}
