//! Customers who order through the gateway, one order after another each, and remember every answer.

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

use super::{
    super::processes::{
        clients::{Clients, Refusal, new_id},
        temp_env::eventually,
    },
    wish,
};

/// Connections that the customers are spread over.
const CONNECTIONS: usize = 4;
/// The pause before a customer repeats a request.
const PAUSE: Duration = Duration::from_millis(100);
/// How often a patient customer repeats a request.
const MAX_REPETITIONS: usize = 50;
/// How long a few thousand orders may take, on a busy machine.
const BOUND: Duration = Duration::from_secs(300);

/// How customers react to an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// They send each request once.
    Once,
    /// They repeat the same request while its outcome is unknown.
    Patient,
}

/// Customers that order concurrently.
pub(super) struct Crowd {
    end: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
    customers: JoinSet<CrowdResult>,
}

/// The answers that all customers got.
#[derive(Default)]
pub(super) struct CrowdResult {
    pub(super) orders: Vec<String>,
    pub(super) failures: Vec<Refusal>,
    /// Requests that were repeated.
    pub(super) repeated: usize,
    pub(super) slowest: Duration,
}

impl Crowd {
    /// Starts this number of customers that order at a URL.
    pub(super) fn start(url: &str, customers: usize, manner: Manner) -> Self {
        let (end, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let clients: Vec<_> = (0..CONNECTIONS).map(|_| Clients::new(|_| url.to_owned())).collect();
        let mut crowd = Self { end: end.clone(), asked: asked.clone(), customers: JoinSet::new() };
        for client in (0..customers).zip(clients.iter().cycle()).map(|(_, client)| client.clone()) {
            let (end, asked) = (end.clone(), asked.clone());
            crowd.customers.spawn(async move {
                let mut result = CrowdResult::default();
                while !end.load(Relaxed) {
                    result.order(&client, manner).await;
                    asked.fetch_add(1, Relaxed);
                }
                result
            });
        }
        crowd
    }

    /// Waits until this number of further requests was answered.
    pub(super) async fn until_asked(&self, more: usize) {
        let end = self.asked.load(Relaxed) + more;
        eventually("the orders to be placed", BOUND, async || {
            let asked = self.asked.load(Relaxed);
            if asked >= end { Ok(()) } else { Err(format!("{asked} of {end}")) }
        })
        .await;
    }

    /// Waits for the requests in flight, and ends.
    pub(super) async fn end(self) -> CrowdResult {
        self.end.store(true, Relaxed);
        let mut all = CrowdResult::default();
        for result in self.customers.join_all().await {
            all.orders.extend(result.orders);
            all.failures.extend(result.failures);
            all.repeated += result.repeated;
            all.slowest = all.slowest.max(result.slowest);
        }
        all
    }
}

impl CrowdResult {
    async fn order(&mut self, clients: &Clients, manner: Manner) {
        let (request_id, begun) = (new_id(), Instant::now());
        let mut repetitions = 0;
        let answer = loop {
            match clients.order(&wish(), &request_id).await {
                Err(refusal)
                    if manner == Manner::Patient && refusal.leaves_it_open() && repetitions < MAX_REPETITIONS =>
                {
                    repetitions += 1;
                    tokio::time::sleep(PAUSE).await;
                }
                answer => break answer,
            }
        };
        self.repeated += usize::from(repetitions > 0);
        self.slowest = self.slowest.max(begun.elapsed());
        match answer {
            Ok(order) => self.orders.push(order.name),
            Err(refusal) => self.failures.push(refusal),
        }
    }

    /// Fails unless every request created one order.
    pub(super) fn all_succeeded(&self) {
        let mut kinds = BTreeMap::<_, usize>::new();
        for Refusal { code, reason, message, .. } in &self.failures {
            *kinds.entry(format!("{code:?} {reason}: {message}")).or_default() += 1;
        }
        assert!(self.failures.is_empty(), "{self}: {kinds:#?}");
        assert_eq!(self.orders.iter().collect::<HashSet<_>>().len(), self.orders.len(), "one order for each request");
    }
}

impl fmt::Display for CrowdResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { orders, failures, repeated, slowest } = self;
        write!(
            f,
            "{} orders, {} failures, {repeated} repeated, the slowest after {slowest:?}",
            orders.len(),
            failures.len()
        )
    }
}
