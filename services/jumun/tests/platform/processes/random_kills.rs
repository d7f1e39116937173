//! Processes are killed at random while orders are placed; no acknowledged order is lost.

use std::{
    num::Wrapping,
    time::{Duration, Instant},
};

use super::{
    cluster::{FOOD_ALONE, ProcessCluster, RECOVERY},
    load::{Load, sum, verify},
};

const KILLS: usize = 10;
const CUSTOMERS: usize = 4;
/// The pause between two kills, once the killed process serves again.
const MIN_PAUSE_MS: u64 = 300;
const MAX_PAUSE_MS: u64 = 1_200;
/// After this time there are no more kills: a machine may be slow.
const BOUND: Duration = Duration::from_secs(45);

/// A cluster's first processes serve order and payment.
const MONEY_PATH: u64 = 2;

/// SplitMix64: the same seed kills in the same order.
struct Dice(Wrapping<u64>);

impl Dice {
    /// JUMUN_TEST_SEED, or the test's own seed.
    fn new(seed: u64) -> Self {
        let seed = std::env::var("JUMUN_TEST_SEED").map_or(seed, |seed| seed.parse().expect("a number"));
        eprintln!("JUMUN_TEST_SEED={seed}");
        Self(Wrapping(seed))
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 += 0x9e37_79b9_7f4a_7c15;
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)) * Wrapping(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)) * Wrapping(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)).0 % bound
    }
}

async fn nothing_is_lost(cluster: &mut ProcessCluster, mut dice: Dice) {
    cluster.start().await;
    let clients = cluster.clients();
    let load = Load::start(&clients, CUSTOMERS);
    let begun = Instant::now();
    let (mut kills, mut hits) = (0, 0);
    while kills < KILLS && begun.elapsed() < BOUND {
        tokio::time::sleep(Duration::from_millis(MIN_PAUSE_MS + dice.below(MAX_PAUSE_MS - MIN_PAUSE_MS))).await;
        // Half of the kills hit order and payment, or the single process.
        let programs = cluster.programs().len() as u64;
        let among = if dice.below(2) == 0 { programs.min(MONEY_PATH) } else { programs };
        let victim = dice.below(among);
        hits += usize::from(victim < MONEY_PATH);
        let victim = cluster.programs().nth(victim as usize).expect("a process");
        victim.kill();
        victim.start().await;
        kills += 1;
    }
    let attempts = load.end().await;
    let sum = sum(&attempts);
    eprintln!("{kills} kills in {:?}: {sum}", begun.elapsed());
    assert!(kills >= 8 && hits >= 3, "only {kills} kills, {hits} of order and payment");
    assert!(sum.acknowledged >= 20, "too little happened: {sum}");
    clients.every_order_is_final().await;
    verify(&attempts, &clients).await;
    cluster.becomes_clean(RECOVERY).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_kills_lose_nothing_in_one_process() {
    nothing_is_lost(&mut ProcessCluster::whole(), Dice::new(20_261_121)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs servers: make test"]
async fn random_kills_lose_nothing_on_postgres_and_jetstream() {
    nothing_is_lost(&mut ProcessCluster::split(FOOD_ALONE).await, Dice::new(42)).await;
}

/// Clients call only the first order replica; the replicas receive the same events and recover the same orders.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs servers: make test"]
async fn random_kills_lose_nothing_among_replicas() {
    let mut cluster = ProcessCluster::split(FOOD_ALONE).await;
    for context in ["order", "payment", "dashboard"] {
        cluster.add(&[context]);
    }
    nothing_is_lost(&mut cluster, Dice::new(77)).await;
}
