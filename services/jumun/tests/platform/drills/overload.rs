//! Payment is slow, and gets five times its capacity.

use std::time::Duration;

use super::{
    FULL, OVERLOAD, SHORT, Size,
    load::{Callers, DEADLINE, Tally},
    platform,
};
use crate::platform::processes::cluster::RECOVERY;

/// The load on an ordinary day, as a share of the capacity.
const ORDINARY: f64 = 0.8;
/// Sequential callers per concurrent call of the provider: enough to keep it busy.
const CALLERS_PER_PLACE: f64 = 1.5;
/// Refused calls are answered within this time.
const REFUSED_WITHIN: Duration = Duration::from_millis(20);
/// After the overload, everything is as before within this time.
const BACK_WITHIN: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_payment_overloaded_its_capacity_is_used_and_the_rest_is_refused_early() {
    drill(&SHORT).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes two minutes: make drill-overload"]
async fn full() {
    drill(&FULL).await;
}

async fn drill(size: &Size) {
    let without = unprotected(size).await;
    println!("\n{}", Tally::head());
    println!("{}", without.row("5x, no protection"));
    protected(size).await;
    assert!(without.waited(0.99) >= DEADLINE, "without protection, callers wait past their deadline");
}

async fn unprotected(size: &Size) -> Tally {
    let mut cluster = platform(size, "off").await;
    let callers = Callers::new(&cluster.program("order").url(), 1);
    // The capacity is known well enough: a slow call takes 510 ms on average.
    callers.come(OVERLOAD * f64::from(size.provider_calls) / 0.51, size.lasting).await
}

async fn protected(size: &Size) {
    let mut cluster = platform(size, "on").await;
    let callers = Callers::new(&cluster.program("order").url(), 1);
    let busy = (f64::from(size.provider_calls) * CALLERS_PER_PLACE).ceil();
    let capacity = callers.measure_capacity(busy as u32, size.lasting).await;
    let before = callers.come(ORDINARY * capacity, size.lasting).await;
    let during = callers.come(OVERLOAD * capacity, size.lasting).await;
    let settling = callers.come(ORDINARY * capacity, BACK_WITHIN.min(size.lasting)).await;
    let after = callers.come(ORDINARY * capacity, size.lasting).await;
    println!("{}", before.row("before"));
    println!("{}", during.row("during: 5x"));
    println!("{}", settling.row("the next seconds"));
    println!("{}", after.row("after"));
    println!(
        "the capacity of payment is {capacity:.1}/s; during the overload {:.1} % of it was used",
        100.0 * during.goodput() / capacity
    );

    assert!(during.goodput() >= size.share * capacity, "too little of the capacity was used");
    let refused_within = during.refused_within(size.refused_in_time);
    assert!(refused_within > Duration::ZERO && refused_within <= REFUSED_WITHIN, "refused after {refused_within:?}");
    assert!(after.goodput() >= size.share * before.goodput(), "it did not come back");
    cluster.becomes_clean(RECOVERY).await;
}
