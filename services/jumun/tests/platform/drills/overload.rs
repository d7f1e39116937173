//! Payment is slow, and asked for five times what it can do.

use std::time::Duration;

use super::{
    FULL, OVERLOAD, SHORT, Size,
    load::{Callers, DEADLINE, Tally},
    platform,
};
use crate::platform::processes::cluster::RECOVERY;

/// The share of what can be done that is asked for on an ordinary day.
const ORDINARY: f64 = 0.8;
/// Callers for each place at the provider who ask one after another: enough to keep it busy.
const CALLERS_PER_PLACE: f64 = 1.5;
/// Who is turned away is told so within this.
const REFUSED_WITHIN: Duration = Duration::from_millis(20);
/// After the overload everything is as before within this.
const BACK_WITHIN: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_payment_overloaded_what_it_can_do_is_done_and_the_rest_is_refused_early() {
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
    assert!(without.waited(0.99) >= DEADLINE, "without protection callers wait past their deadline");
}

async fn unprotected(size: &Size) -> Tally {
    let mut cluster = platform(size, "off").await;
    let callers = Callers::new(&cluster.program("order").url(), 1);
    // What it could do is known well enough: a slow call takes 510 ms on average.
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
        "payment can do {capacity:.1}/s; during the overload {:.1} % of that was done",
        100.0 * during.goodput() / capacity
    );

    assert!(during.goodput() >= size.share * capacity, "too little was done of what could be");
    let refused_within = during.refused_within(size.refused_in_time);
    assert!(refused_within > Duration::ZERO && refused_within <= REFUSED_WITHIN, "refused after {refused_within:?}");
    assert!(after.goodput() >= size.share * before.goodput(), "it did not come back");
    cluster.becomes_clean(RECOVERY).await;
}
