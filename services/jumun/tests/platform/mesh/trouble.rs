//! One of several replicas fails, hangs or is killed, and no customer gets an error.

use std::time::{Duration, Instant};

use contracts::admin::v1::{ClearFaultsRequest, Fault, SetFaultRequest, admin_service_client::AdminServiceClient};

use super::{
    super::{
        drills::scrape::{metrics, sum},
        processes::{clients::channel, temp_env::eventually},
    },
    crowd::{Crowd, CrowdResult, Manner},
    setup::{FOOD, Mesh},
};

/// Concurrent customers.
const CUSTOMERS: usize = 12;
/// Orders before, during and after the failure of a payment replica; for three kinds of failure more than 20,000.
const MANY: [usize; 3] = [1_000, 4_500, 1_500];
/// The same for an order replica.
const SOME: [usize; 3] = [200, 1_000, 300];
/// The callers eject a failing replica within this time.
const EJECTED_WITHIN: Duration = Duration::from_secs(3);
/// It is called again within this time: it was ejected for 10 s, perhaps twice, the second time for longer.
const BACK_WITHIN: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);

/// How a replica fails.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    /// It answers everything with UNAVAILABLE.
    Unavailable,
    /// SIGSTOP: it hangs, though its sidecar and the kernel still answer.
    Hangs,
    /// kill -9. As a kubelet would, the same pod is started again later.
    Killed,
}

impl Trouble {
    async fn begin(self, mesh: &mut Mesh, replica: usize) {
        let program = &mut mesh.replicas[replica].program;
        match self {
            Self::Unavailable => {
                let [target, code] = ["*", "UNAVAILABLE"].map(str::to_owned);
                let fault = Some(Fault { target, code, ..Fault::default() });
                let mut operator = AdminServiceClient::new(channel(&program.url()));
                operator.set_fault(SetFaultRequest { fault }).await.expect("drills are on");
            }
            Self::Hangs => program.freeze(),
            Self::Killed => program.kill(),
        }
    }

    async fn end(self, mesh: &mut Mesh, replica: usize) {
        let program = &mut mesh.replicas[replica].program;
        match self {
            Self::Unavailable => {
                let mut operator = AdminServiceClient::new(channel(&program.url()));
                operator.clear_faults(ClearFaultsRequest::default()).await.expect("drills are on");
            }
            Self::Hangs => program.thaw(),
            Self::Killed => program.start().await,
        }
    }
}

/// Calls of a method that a replica received since its start.
async fn calls(mesh: &Mesh, replica: usize, method: &str) -> f64 {
    let page = metrics(mesh.replicas[replica].program.address).await;
    sum(&page, "rpc_server_call_duration_seconds_count", &format!("rpc_method=\"{method}\""))
}

/// Whether the caller of a context (order's sidecar, or the gateway) has ejected a replica.
async fn is_ejected(mesh: &Mesh, context: &str, replica: usize) -> bool {
    let address = mesh.replicas[replica].address.to_string();
    let caller = if context == "payment" { mesh.first("order").sidecar() } else { &mesh.gateway };
    caller.ejected(context).await.iter().any(|ejected| ejected.starts_with(&address))
}

/// Lets customers order while one replica of a context fails, and afterwards.
async fn order_through(
    trouble: Trouble,
    mesh: &mut Mesh,
    context: &str,
    method: &str,
    manner: Manner,
    [before, during, after]: [usize; 3],
) -> CrowdResult {
    let replica = mesh.place_of(context);
    let crowd = Crowd::start(&mesh.url(), CUSTOMERS, manner);
    crowd.until_asked(before).await;
    assert!(calls(mesh, replica, method).await > 0.0, "it is called at first");
    let begun = Instant::now();
    trouble.begin(mesh, replica).await;
    while !is_ejected(mesh, context, replica).await {
        assert!(begun.elapsed() < EJECTED_WITHIN, "{trouble:?}: still called after {:?}", begun.elapsed());
        tokio::time::sleep(POLL).await;
    }
    let ejected = begun.elapsed();
    crowd.until_asked(during).await;
    let lasted = begun.elapsed();
    trouble.end(mesh, replica).await;
    let known = calls(mesh, replica, method).await;
    let ended = Instant::now();
    eventually("the replica to be called again", BACK_WITHIN, async || {
        let again = calls(mesh, replica, method).await;
        if again > known { Ok(()) } else { Err(format!("{again} calls")) }
    })
    .await;
    let back = ended.elapsed();
    crowd.until_asked(after).await;
    let result = crowd.end().await;
    println!("{trouble:?} {context}: ejected after {ejected:?}, trouble for {lasted:?}, back after {back:?}; {result}");
    result
}

/// Every order is placed and paid once.
async fn is_paid_once(mesh: &Mesh, result: &CrowdResult) {
    result.all_succeeded();
    mesh.becomes_clean().await;
    // One more was placed when the mesh was started.
    let placed = result.orders.len() + 1;
    assert_eq!(mesh.count("order", "SELECT count(*) FROM orders").await, placed, "one order for each request");
    let charged = "SELECT count(*) FROM charges WHERE state IN ('HELD', 'TAKEN')";
    assert_eq!(mesh.count("payment_provider", charged).await, placed, "one authorization for each order");
}

async fn of_three_payments_one(trouble: Trouble) {
    let mut mesh = Mesh::start(FOOD, &[]).await;
    let method = "jumun.payment.v1.PaymentService/AuthorizePayment";
    let result = order_through(trouble, &mut mesh, "payment", method, Manner::Once, MANY).await;
    is_paid_once(&mesh, &result).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs servers, Envoy and Go: make test-mesh"]
async fn of_three_payments_one_answers_unavailable_and_no_customer_notices() {
    of_three_payments_one(Trouble::Unavailable).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs servers, Envoy and Go: make test-mesh"]
async fn of_three_payments_one_hangs_and_no_customer_notices() {
    of_three_payments_one(Trouble::Hangs).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs servers, Envoy and Go: make test-mesh"]
async fn of_three_payments_one_is_killed_and_no_customer_notices() {
    of_three_payments_one(Trouble::Killed).await;
}

async fn of_two_orders_one(trouble: Trouble) {
    let mut mesh =
        Mesh::start(&[("order", 2), ("payment", 1), ("store", 1), ("delivery", 1), ("dashboard", 1)], &[]).await;
    let method = "jumun.order.v1.OrderService/CreateOrder";
    let result = order_through(trouble, &mut mesh, "order", method, Manner::Patient, SOME).await;
    is_paid_once(&mesh, &result).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs servers, Envoy and Go: make test-mesh"]
async fn of_two_orders_one_answers_unavailable_and_a_repeated_request_is_one_order() {
    of_two_orders_one(Trouble::Unavailable).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs servers, Envoy and Go: make test-mesh"]
async fn of_two_orders_one_hangs_and_a_repeated_request_is_one_order() {
    of_two_orders_one(Trouble::Hangs).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs servers, Envoy and Go: make test-mesh"]
async fn of_two_orders_one_is_killed_and_a_repeated_request_is_one_order() {
    of_two_orders_one(Trouble::Killed).await;
}
