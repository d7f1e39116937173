//! Rule S6 under load: many callers reserve the same stock, repeat requests, release, and are interrupted.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use futures::{StreamExt, future::join_all, stream};
use jumun_core::reason_of;
use tonic::Code;

use super::coffee::Coffee;

const HOT: &str = "items/americano";
const CALLERS: usize = 200;
const STOCK: i64 = 1_000;

#[tokio::test]
async fn not_enough_stock_and_an_unknown_item_are_different_errors() {
    let coffee = Coffee::open(&[(HOT, 2)]).await;
    let error = coffee.reduce(HOT, "productions/a", 3).await.expect_err("too much");
    assert_eq!((error.code(), reason_of(&error).as_str()), (Code::FailedPrecondition, "NOT_ENOUGH_STOCK"));
    let error = coffee.reduce("items/tea", "productions/a", 3).await.expect_err("no such product");
    assert_eq!((error.code(), reason_of(&error).as_str()), (Code::NotFound, "NOT_FOUND"));
    let error = coffee.stock_up(HOT, 1).await.expect_err("there already");
    assert_eq!((error.code(), reason_of(&error).as_str()), (Code::AlreadyExists, "STOCK_ITEM_EXISTS"));
    coffee.close().await;
}

#[tokio::test]
async fn a_production_takes_once_however_often_it_asks_and_gives_back_once() {
    let coffee = Coffee::open(&[(HOT, 10)]).await;
    for _ in 0..3 {
        coffee.reduce(HOT, "productions/a", 4).await.expect("enough");
    }
    assert_eq!(coffee.stock(HOT).await, 6);
    let error = coffee.reduce(HOT, "productions/a", 5).await.expect_err("it took four");
    assert_eq!(reason_of(&error), "DONE_OTHERWISE");
    for _ in 0..3 {
        coffee.release(HOT, "productions/a", 4).await.expect("it took them");
    }
    assert_eq!(coffee.stock(HOT).await, 10);
    let error = coffee.reduce(HOT, "productions/a", 4).await.expect_err("it gave them back");
    assert_eq!((error.code(), reason_of(&error).as_str()), (Code::FailedPrecondition, "TAKEN_BACK"));
    coffee.close().await;
}

#[tokio::test]
async fn a_release_that_overtakes_its_reduction_forbids_it() {
    let coffee = Coffee::open(&[(HOT, 10)]).await;
    coffee.release(HOT, "productions/a", 4).await.expect("nothing to give back");
    let error = coffee.reduce(HOT, "productions/a", 4).await.expect_err("too late");
    assert_eq!(reason_of(&error), "TAKEN_BACK");
    assert_eq!(coffee.stock(HOT).await, 10);
    let error = coffee.release("items/tea", "productions/a", 4).await.expect_err("no such product");
    assert_eq!(error.code(), Code::NotFound);
    coffee.close().await;
}

/// A pseudo-random quantity, the same in each run.
fn quantity(caller: usize, round: usize) -> i64 {
    let mixed = (caller * 2_654_435_761 + round * 40_503) % 1_000_003;
    i64::try_from(mixed % 9 + 1).unwrap_or(1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_callers_never_take_more_than_there_is_and_each_production_takes_once() {
    let mut coffee = Coffee::open(&[(HOT, STOCK)]).await;
    let mut granted: HashSet<(String, i64)> = HashSet::new();
    // In every round each caller asks for another production, and repeats requests whose answer it did not get.
    for round in 0..3 {
        let unanswered: Vec<_> = (0..CALLERS).filter(|caller| caller % 3 == 0).collect();
        let asking = stream::iter(0..CALLERS).map(|caller| {
            let (coffee, production) = (&coffee, format!("productions/p{round}-{caller}"));
            async move {
                let quantity = quantity(caller, round);
                let asking = coffee.reduce(HOT, &production, quantity);
                // Some callers cancel before the answer.
                let patience = Duration::from_millis(if caller % 3 == 0 { 2 } else { 20_000 });
                let answer = tokio::time::timeout(patience, asking).await;
                (production, quantity, answer.is_ok_and(|answer| answer.is_ok()))
            }
        });
        let answers: Vec<_> = asking.buffer_unordered(CALLERS).collect().await;
        granted.extend(
            answers.into_iter().filter(|(_, _, taken)| *taken).map(|(production, quantity, _)| (production, quantity)),
        );
        // The process restarts, and the interrupted requests are repeated.
        coffee.food.cluster.restart().await;
        for caller in unanswered {
            let (production, quantity) = (format!("productions/p{round}-{caller}"), quantity(caller, round));
            for _ in 0..2 {
                match coffee.reduce(HOT, &production, quantity).await {
                    Ok(_) => drop(granted.insert((production.clone(), quantity))),
                    Err(error) => assert_eq!(reason_of(&error), "NOT_ENOUGH_STOCK"),
                }
            }
        }
    }
    let taken: i64 = granted.iter().map(|(_, quantity)| quantity).sum();
    assert!(taken <= STOCK && taken > STOCK - 10, "{taken} of {STOCK} were taken");
    assert_eq!(coffee.stock(HOT).await, STOCK - taken, "the stock fell by what was granted");
    assert_eq!(granted.len(), granted.iter().map(|(production, _)| production).collect::<HashSet<_>>().len());
    // All callers release everything, each request twice at the same time.
    let giving_back =
        granted.iter().chain(&granted).map(|(production, quantity)| coffee.release(HOT, production, *quantity));
    assert!(join_all(giving_back).await.iter().all(Result::is_ok));
    assert_eq!(coffee.stock(HOT).await, STOCK);
    coffee.close().await;
}

/// Reductions of one measurement, and how many are in flight.
const REDUCTIONS: usize = 20_000;
const AT_ONCE: usize = 256;

/// The rate of reductions of one item, and of a thousand items: prints both, and their ratio.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: run it alone, with --nocapture"]
async fn one_item_is_taken_from_at_least_half_as_fast_as_a_thousand() {
    let coffee = Coffee::open(&[(HOT, i64::from(u32::MAX) / 8)]).await;
    let many: Vec<_> = (0..1_000).map(|index| format!("items/product-{index}")).collect();
    for item in &many {
        coffee.stock_up(item, 1_000_000).await.expect("a new product");
    }
    coffee.food.cluster.settle().await;
    let mut rates = Vec::new();
    for round in 0..3 {
        let one = rate(&coffee, &[HOT.to_owned()], &format!("one-{round}")).await;
        let thousand = rate(&coffee, &many, &format!("many-{round}")).await;
        rates.push((one, thousand));
    }
    let best = |rates: Vec<f64>| rates.into_iter().fold(0.0, f64::max);
    let (one, thousand): (Vec<_>, Vec<_>) = rates.into_iter().unzip();
    let (one, thousand) = (best(one), best(thousand));
    eprintln!("ReduceStock: {one:.0}/s of one item, {thousand:.0}/s of 1,000 items, ratio {:.2}", one / thousand);
    assert!(one >= 0.5 * thousand);
    coffee.close().await;
}

async fn rate(coffee: &Coffee, items: &[String], round: &str) -> f64 {
    let begun = Instant::now();
    let reducing = stream::iter(0..REDUCTIONS).map(|index| {
        let production = format!("productions/{round}-{index}");
        let item = &items[index % items.len()];
        async move { coffee.reduce(item, &production, 1).await.expect("enough") }
    });
    reducing.buffer_unordered(AT_ONCE).for_each(|_| std::future::ready(())).await;
    let seconds = begun.elapsed().as_secs_f64();
    coffee.food.cluster.settle().await;
    f64::from(u32::try_from(REDUCTIONS).unwrap_or(u32::MAX)) / seconds
}
