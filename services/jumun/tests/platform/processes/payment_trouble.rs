//! Payment is down, slow, refusing or killed: the caller gets the right error, and no charge is left without an order.

use std::time::{Duration, Instant};

use contracts::{order::v1::order::State as OrderState, payment::v1::payment::State as PaymentState};
use futures::future::join_all;
use tonic::Code;

use super::{
    clients::{Refusal, new_id, wish},
    cluster::{ProcessCluster, RECOVERY},
    load::{Load, sum, verify},
    proxy::{Answers, Proxy},
};

/// Payment in a process of its own, and everything else in another.
const PAYMENT_APART: &[&[&str]] = &[&["order", "store", "delivery", "dashboard"], &["payment"]];
/// Orders for each kind of failure.
const ORDERS: usize = 10;
/// A call to payment may take two seconds; the caller gets its error soon after.
const ANSWERED_WITHIN: Duration = Duration::from_secs(4);
/// How long payment serves between two kills.
const ALIVE: Duration = Duration::from_millis(700);
/// How long it is down each time: longer than order waits before its first retry.
const AWAY: Duration = Duration::from_millis(500);

/// Places orders concurrently, each of which must fail with RetryInfo; returns their names.
async fn refused_with_a_retry(cluster: &ProcessCluster, code: Code, reason: &str) -> Vec<String> {
    let clients = cluster.clients();
    let begun = Instant::now();
    let answers = join_all((0..ORDERS).map(|_| async { clients.order(&wish("tok_visa"), &new_id()).await })).await;
    assert!(begun.elapsed() < ANSWERED_WITHIN, "answered after {:?}", begun.elapsed());
    answers.into_iter().map(|answer| answer.expect_err("no charge is made").expect_retry(code, reason)).collect()
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn orders_fail_with_retry_info_and_are_rejected_when_payment_is_not_running() {
    let mut cluster = ProcessCluster::split(PAYMENT_APART).await;
    cluster.program("order").start().await;
    let names = refused_with_a_retry(&cluster, Code::Unavailable, "PAYMENT_UNAVAILABLE").await;
    cluster.start().await;
    let clients = cluster.clients();
    clients.every_order_is_final().await;
    for name in names {
        clients.order_becomes(&name, OrderState::Rejected).await;
        assert_eq!(clients.payment_of(&name).await.expect("a tombstone").state(), PaymentState::Voided);
    }
    assert_eq!(clients.place(1).await.len(), 1);
    cluster.becomes_clean(RECOVERY).await;
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn orders_time_out_and_come_to_an_end_when_payment_hangs() {
    let mut cluster = ProcessCluster::split(PAYMENT_APART).await;
    cluster.start().await;
    let clients = cluster.clients();
    clients.place(1).await;
    cluster.program("payment").freeze();
    let names = refused_with_a_retry(&cluster, Code::DeadlineExceeded, "PAYMENT_TIMED_OUT").await;
    cluster.program("payment").thaw();
    clients.every_order_is_final().await;
    for name in names {
        let state = clients.get_order(&name).await.expect("it was recorded").state();
        assert!(matches!(state, OrderState::Placed | OrderState::Rejected), "{state:?}");
    }
    cluster.becomes_clean(RECOVERY).await;
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn a_declined_card_leaves_a_rejected_order_and_no_retry() {
    let mut cluster = ProcessCluster::split(PAYMENT_APART).await;
    cluster.start().await;
    let clients = cluster.clients();
    let request_id = new_id();
    for _ in 0..2 {
        let refusal = clients.order(&wish("tok_declined"), &request_id).await.expect_err("the card is declined");
        assert_eq!(
            (refusal.code, refusal.reason.as_str()),
            (Code::FailedPrecondition, "PAYMENT_DECLINED"),
            "{refusal}"
        );
        assert_eq!(refusal.metadata["decline_reason"], "INSUFFICIENT_FUNDS");
        assert_eq!(refusal.retry_after, None, "a retry would not help");
        let order = clients.get_order(&refusal.metadata["order"]).await.expect("it was recorded");
        assert_eq!(order.state(), OrderState::Rejected);
    }
    cluster.becomes_clean(RECOVERY).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs servers: make test"]
async fn orders_come_to_an_end_when_payment_is_killed_under_load() {
    let mut cluster = ProcessCluster::split(PAYMENT_APART).await;
    cluster.start().await;
    let clients = cluster.clients();
    let load = Load::start(&clients, 8);
    for _ in 0..3 {
        tokio::time::sleep(ALIVE).await;
        cluster.program("payment").kill();
        tokio::time::sleep(AWAY).await;
        cluster.program("payment").start().await;
    }
    let attempts = load.end().await;
    let open =
        attempts.iter().filter_map(|attempt| attempt.answer.as_ref().err()).filter(|refusal| refusal.leaves_it_open());
    open.for_each(says_when_to_retry);
    assert!(sum(&attempts).left_open > 0, "nothing was interrupted: {}", sum(&attempts));
    clients.every_order_is_final().await;
    verify(&attempts, &clients).await;
    cluster.becomes_clean(RECOVERY).await;
}

/// Order's process was never down, so every error is its own. While the circuit is open, no order is created.
fn says_when_to_retry(refusal: &Refusal) {
    match refusal.code {
        Code::Unavailable => refusal.expect_hint(Code::Unavailable, "PAYMENT_UNAVAILABLE"),
        _ => drop(refusal.expect_retry(Code::DeadlineExceeded, "PAYMENT_TIMED_OUT")),
    }
}

/// Order calls payment through a proxy that can lose answers.
async fn behind_a_wire() -> (ProcessCluster, Proxy) {
    let mut cluster = ProcessCluster::split(PAYMENT_APART).await;
    let proxy = Proxy::to(cluster.program("payment").address).await;
    cluster.program("order").set("JUMUN_PAYMENT_ADDR", format!("http://{}", proxy.address));
    cluster.start().await;
    cluster.clients().place(1).await;
    (cluster, proxy)
}

async fn is_charged_once(cluster: &ProcessCluster, name: &str) {
    let clients = cluster.clients();
    let order = clients.order_becomes(name, OrderState::Placed).await;
    let payment = clients.payment_of(name).await.expect("it is charged");
    assert_eq!(payment.name, order.payment);
    assert!(matches!(payment.state(), PaymentState::Authorized | PaymentState::Captured), "{payment:?}");
    cluster.becomes_clean(RECOVERY).await;
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn an_order_whose_charge_got_a_lost_answer_is_placed_and_charged_once() {
    let (cluster, proxy) = behind_a_wire().await;
    let (clients, request_id) = (cluster.clients(), new_id());
    proxy.answers(Answers::Vanish);
    let refusal = clients.order(&wish("tok_visa"), &request_id).await.expect_err("the answer is lost");
    let name = refusal.expect_retry(Code::DeadlineExceeded, "PAYMENT_TIMED_OUT");
    assert_eq!(clients.payment_of(&name).await.expect("it is charged").state(), PaymentState::Authorized);
    assert_eq!(clients.get_order(&name).await.expect("it is there").state(), OrderState::Pending);
    proxy.heal();
    is_charged_once(&cluster, &name).await;
    let repeated = clients.order(&wish("tok_visa"), &request_id).await.expect("the order is placed");
    assert_eq!((repeated.name, repeated.state), (name, OrderState::Placed.into()));
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn an_order_whose_connection_broke_after_the_charge_is_placed_and_charged_once() {
    let (cluster, proxy) = behind_a_wire().await;
    let clients = cluster.clients();
    proxy.answers(Answers::BreakOnce);
    // The call is retried at once; on the connection that just broke, that may fail as well.
    let answer = clients.order(&wish("tok_visa"), &new_id()).await;
    let name = answer
        .map_or_else(|refusal| refusal.expect_retry(Code::Unavailable, "PAYMENT_UNAVAILABLE"), |order| order.name);
    is_charged_once(&cluster, &name).await;
}
