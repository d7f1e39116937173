//! Callers who retry at once, whatever the answer says, while payment gets five times its capacity.

use super::{
    FULL, OVERLOAD, SHORT, Size,
    load::{Callers, Tally},
    platform,
    scrape::{metrics, sum},
};
use crate::platform::processes::cluster::RECOVERY;

/// How often each caller sends its request.
const ATTEMPTS: u32 = 5;
/// The most calls to payment, as a multiple of those without a storm.
const MAX_MULTIPLE: f64 = 1.1;
/// In a short drill, one call is about 1 %.
const ROUGHLY: f64 = 0.15;
const AUTHORIZE: &str = "rpc_method=\"jumun.payment.v1.PaymentService/AuthorizePayment\"";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_storm_does_not_multiply_the_calls_to_payment() {
    drill(&SHORT, MAX_MULTIPLE + ROUGHLY).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes two minutes: make drill-retry-storm"]
async fn full() {
    drill(&FULL, MAX_MULTIPLE).await;
}

async fn drill(size: &Size, max_multiple: f64) {
    println!("\n{} {:>16}", Tally::head(), "calls to payment");
    let wild = calls_to_payment(size, "off", ATTEMPTS, "storm, no protection").await;
    let calm = calls_to_payment(size, "on", 1, "5x, no retries").await;
    let storm = calls_to_payment(size, "on", ATTEMPTS, "5x, all retry").await;
    println!(
        "the storm multiplies the calls to payment by {:.2}; without protection by {:.2}",
        storm / calm,
        wild / calm
    );
    assert!(storm <= max_multiple * calm, "{storm} calls to payment instead of {calm}");
}

/// Calls that payment got at five times its capacity.
async fn calls_to_payment(size: &Size, protection: &str, attempts: u32, phase: &str) -> f64 {
    let mut cluster = platform(size, protection).await;
    let address = cluster.program("order").address;
    let callers = Callers::new(&cluster.program("order").url(), attempts);
    let tally = callers.come(OVERLOAD * f64::from(size.provider_calls) / 0.51, size.lasting).await;
    let calls = sum(&metrics(address).await, "rpc_server_call_duration_seconds_count", AUTHORIZE);
    println!("{} {calls:>16}", tally.row(phase));
    if protection == "on" {
        cluster.becomes_clean(RECOVERY).await;
    }
    calls
}
