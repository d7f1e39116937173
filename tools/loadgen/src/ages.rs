//! Probes: how long after an order was accepted its store sees it, by the public API.

use std::{collections::BTreeMap, time::Duration};

use client::AuthenticatedChannel;
use contracts::store::v1::{GetTicketRequest, store_service_client::StoreServiceClient};
use hdrhistogram::Histogram;
use jumun_core::time::{Instant, sleep};

use tonic::{Code, Status};

use crate::{
    caller::{Caller, timed},
    tally::Failure,
};

/// The maximum number of probes at once. With 10 probes per second there are at most 300.
pub(crate) const MAX_AT_ONCE: usize = 512;
/// An order that its store has not seen by then counts as never seen.
const SEEN_WITHIN: Duration = Duration::from_secs(30);
/// The interval of the reads. For an order that has waited for longer it grows with the age, to ages that are exact to
/// 4 %: otherwise the reads of many probes would be a load of their own.
const POLL_INTERVAL: Duration = Duration::from_millis(5);
const POLLS_PER_AGE: u32 = 25;
const AGE_DIGITS: u8 = 3;
/// Probes have turns of their own.
const FIRST_TURN: u64 = 1 << 40;

/// What became of a probe.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Probe {
    /// The store saw the order at this age.
    Seen(Duration),
    NeverSeen,
    /// The order was placed, and its ticket cannot be read.
    Unreadable(Failure),
    /// The order was not placed.
    NotPlaced(Failure),
}

/// Places an order, and reads its ticket until there is one. The age is counted from the response to CreateOrder to the
/// response with the ticket, so it includes one read.
pub(crate) async fn probe(mut caller: Caller, store: AuthenticatedChannel, number: u64) -> Probe {
    let order = match caller.create_order(FIRST_TURN + number).await {
        Ok(order) => order,
        Err(failure) => return Probe::NotPlaced(failure),
    };
    let store = StoreServiceClient::new(store);
    let request = GetTicketRequest { name: order.replacen("orders/", "tickets/", 1) };
    let read = || {
        let (mut store, request) = (store.clone(), timed(request.clone()));
        async move { store.get_ticket(request).await.map(drop) }
    };
    until_seen(read).await
}

async fn until_seen<F: Future<Output = Result<(), Status>>>(mut read: impl FnMut() -> F) -> Probe {
    let accepted = Instant::now();
    loop {
        let sent = Instant::now();
        let seen = read().await;
        let age = accepted.elapsed();
        match seen {
            Ok(()) => return Probe::Seen(age),
            Err(status) if is_passing(status.code()) => {}
            Err(status) => return Probe::Unreadable(Failure::from(&status)),
        }
        if age >= SEEN_WITHIN {
            return Probe::NeverSeen;
        }
        sleep(poll_interval(age).saturating_sub(sent.elapsed())).await;
    }
}

/// Whether a read may succeed later: there is no ticket yet, or the store is busy.
fn is_passing(code: Code) -> bool {
    matches!(code, Code::NotFound | Code::ResourceExhausted | Code::Unavailable | Code::DeadlineExceeded)
}

fn poll_interval(age: Duration) -> Duration {
    POLL_INTERVAL.max(age / POLLS_PER_AGE)
}

/// What became of all probes.
pub(crate) struct Ages {
    /// Ages in microseconds.
    pub(crate) ages: Histogram<u64>,
    pub(crate) placed: u64,
    pub(crate) never_seen: u64,
    pub(crate) refused: u64,
    /// Why orders were not placed or their tickets not read, by gRPC code and reason.
    pub(crate) errors: BTreeMap<String, u64>,
    /// Probes that could not start.
    pub(crate) not_started: u64,
}

impl Ages {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let ages = Histogram::new(AGE_DIGITS)?;
        Ok(Self { ages, placed: 0, never_seen: 0, refused: 0, errors: BTreeMap::new(), not_started: 0 })
    }

    pub(crate) fn add(&mut self, probe: Probe) -> anyhow::Result<()> {
        match probe {
            Probe::Seen(age) => {
                self.placed += 1;
                self.ages.record(u64::try_from(age.as_micros())?)?;
            }
            Probe::NeverSeen => {
                self.placed += 1;
                self.never_seen += 1;
            }
            Probe::NotPlaced(Failure::Refused { .. }) => self.refused += 1,
            Probe::NotPlaced(Failure::Error(error)) => *self.errors.entry(error).or_default() += 1,
            Probe::Unreadable(Failure::Refused { reason, .. } | Failure::Error(reason)) => {
                self.placed += 1;
                *self.errors.entry(reason).or_default() += 1;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_age_counts_until_the_store_answers_with_the_ticket() {
        let start = Instant::now();
        let seen = until_seen(|| async {
            sleep(Duration::from_millis(2)).await;
            if start.elapsed() < Duration::from_millis(40) { Err(Status::not_found("no ticket")) } else { Ok(()) }
        });
        // Reads are sent after 0, 5, … 40 ms, and take 2 ms.
        assert_eq!(seen.await, Probe::Seen(Duration::from_millis(42)));
    }

    #[tokio::test(start_paused = true)]
    async fn an_order_that_waits_for_too_long_was_never_seen() {
        let start = Instant::now();
        let mut reads = 0;
        let never = until_seen(|| {
            reads += 1;
            async { Err(Status::unavailable("busy")) }
        });
        assert_eq!(never.await, Probe::NeverSeen);
        assert!(start.elapsed() >= SEEN_WITHIN && start.elapsed() < SEEN_WITHIN * 11 / 10, "{:?}", start.elapsed());
        assert!((100..400).contains(&reads), "{reads} reads");
    }

    #[tokio::test(start_paused = true)]
    async fn a_ticket_that_may_not_be_read_ends_the_probe() {
        let denied = until_seen(|| async { Err(Status::permission_denied("no")) });
        assert_eq!(denied.await, Probe::Unreadable(Failure::Error("PERMISSION_DENIED".to_owned())));
    }

    #[test]
    fn ages_are_counted_by_what_became_of_the_probe() {
        let mut ages = Ages::new().expect("a histogram");
        let refused = Failure::Refused { reason: "UNAVAILABLE".to_owned(), has_retry_info: true };
        let error = Failure::Error("INTERNAL".to_owned());
        for probe in [Probe::NeverSeen, Probe::NotPlaced(refused), Probe::NotPlaced(error)] {
            ages.add(probe).expect("a probe");
        }
        for millis in 1..=100 {
            ages.add(Probe::Seen(Duration::from_millis(millis))).expect("a probe");
        }
        assert_eq!((ages.placed, ages.never_seen, ages.refused, ages.errors["INTERNAL"]), (101, 1, 1, 1));
        let millis = |quantile| ages.ages.value_at_quantile(quantile) / 1000;
        assert_eq!((millis(0.5), millis(0.99), millis(1.0)), (50, 99, 100));
    }
}
