//! The synchronous calls besides order → payment, over real processes: the callee hangs, or is killed.

use std::time::{Duration, Instant};

use contracts::{
    customer::v1::{
        CreateCustomerRequest, Customer, GetCustomerRequest, ListCustomersRequest, customer::State as CustomerState,
        customer_service_client::CustomerServiceClient,
    },
    order::v1::order::State,
};
use futures::{StreamExt, stream};
use serde_json::json;
use tonic::{Code, transport::Channel};

use super::{
    clients::{Answer, Clients, answer, channel, new_id},
    cluster::{COFFEE_ALONE, ProcessCluster, RECOVERY},
    coffee_kills::{PRODUCT, call, coffee, insist},
    protocol::PROTOCOLS,
    temp_env::eventually,
};

/// A caller of a context that hangs gets an error within this time.
const REFUSED_WITHIN: Duration = Duration::from_secs(6);

async fn is_refused_in_time<T: std::fmt::Debug>(asking: impl Future<Output = Answer<T>>, reason: &str) {
    let begun = Instant::now();
    let refusal = asking.await.expect_err("the callee hangs");
    assert!(begun.elapsed() < REFUSED_WITHIN, "refused after {:?}", begun.elapsed());
    assert!(refusal.reason == reason && refusal.retry_after.is_some(), "{refusal}");
}

async fn shop(stock: i64) -> (ProcessCluster, Clients) {
    let mut cluster = ProcessCluster::split(COFFEE_ALONE).await;
    cluster.start().await;
    let warehouse = PROTOCOLS[0].connect(&cluster.url("warehouse"), None);
    let item = json!({"stockItem": {"item": PRODUCT, "quantity": stock}, "requestId": new_id()});
    call(&warehouse, "CreateStockItem", &item).await;
    let clients = cluster.clients();
    (cluster, clients)
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn a_cancellation_says_so_when_the_kitchen_hangs_and_is_one_cancellation_in_the_end() {
    let (mut cluster, clients) = shop(0).await;
    let order = clients.order(&coffee(1), &new_id()).await.expect("a good card");
    clients.order_becomes(&order.name, State::OutOfStock).await;
    cluster.program("kitchen").freeze();
    let request_id = new_id();
    is_refused_in_time(clients.cancel(&order.name, &request_id), "KITCHEN_UNAVAILABLE").await;
    assert_eq!(clients.get_order(&order.name).await.expect("it is there").state(), State::OutOfStock);
    cluster.program("kitchen").thaw();
    let cancelled = insist("the cancellation", || clients.cancel(&order.name, &request_id)).await;
    assert_eq!(cancelled.expect("it had not started").state(), State::Cancelled);
    cluster.becomes_clean(RECOVERY).await;
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn coffee_is_made_once_when_the_warehouse_hangs_and_is_killed() {
    let (mut cluster, clients) = shop(2).await;
    cluster.program("warehouse").freeze();
    let order = clients.order(&coffee(1), &new_id()).await.expect("the order does not wait for the warehouse");
    // The kitchen's call waits in the socket of the frozen process.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(clients.get_order(&order.name).await.expect("it is there").state(), State::Placed);
    cluster.program("warehouse").thaw();
    clients.order_becomes(&order.name, State::Producing).await;
    cluster.program("warehouse").kill();
    let second = clients.order(&coffee(1), &new_id()).await.expect("the order does not wait for the warehouse");
    cluster.start().await;
    clients.order_becomes(&second.name, State::Producing).await;
    // There were two, and each order took one.
    let third = clients.order(&coffee(1), &new_id()).await.expect("a good card");
    clients.order_becomes(&third.name, State::OutOfStock).await;
    cluster.becomes_clean(RECOVERY).await;
}

const PEOPLE: usize = 40;
const KILLS: usize = 4;
const PAUSE: Duration = Duration::from_millis(500);

async fn register(customers: &CustomerServiceClient<Channel>, account: &str, request_id: &str) -> Answer<Customer> {
    let customer = Customer {
        display_name: "Kim Mina".to_owned(),
        address: "Gangnam-daero 1".to_owned(),
        age: 29,
        phone: "010-1234-5678".to_owned(),
        account: format!("customers/{account}"),
        ..Customer::default()
    };
    let request = CreateCustomerRequest { customer: Some(customer), request_id: request_id.to_owned() };
    answer(customers.clone().create_customer(request)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs servers: make test"]
async fn registrations_come_to_an_end_when_notification_hangs_and_when_it_is_killed() {
    let mut cluster = ProcessCluster::split(&[&["customer"], &["notification"], &["dashboard"]]).await;
    cluster.start().await;
    let customers = CustomerServiceClient::new(channel(&cluster.url("customer")));
    cluster.program("notification").freeze();
    let refusal = register(&customers, "mina", &new_id()).await.expect_err("notification hangs");
    assert_eq!(
        (refusal.code, refusal.reason.as_str()),
        (Code::DeadlineExceeded, "NOTIFICATION_TIMED_OUT"),
        "{refusal}"
    );
    let name = refusal.metadata["customer"].clone();
    cluster.program("notification").thaw();
    eventually("an end", RECOVERY, || async {
        let found = answer(customers.clone().get_customer(GetCustomerRequest { name: name.clone() })).await;
        let found = found.map_err(|refusal| refusal.to_string())?;
        if found.state() == CustomerState::Pending { Err(format!("{found:?}")) } else { Ok(()) }
    })
    .await;

    let killing = async {
        for _ in 0..KILLS {
            tokio::time::sleep(PAUSE).await;
            cluster.program("notification").kill();
            cluster.program("notification").start().await;
        }
    };
    let ids: Vec<_> = (0..PEOPLE).map(|_| new_id()).collect();
    let register_all = || {
        let registering = stream::iter(ids.iter().enumerate()).map(|(index, id)| {
            let (customers, account) = (&customers, format!("slow-{index}"));
            async move { insist("an answer to the registration", || register(customers, &account, id)).await }
        });
        registering.buffered(PEOPLE / 8).collect::<Vec<_>>()
    };
    let (first, ()) = tokio::join!(register_all(), killing);
    // Each request has one answer, which is the same each time.
    let again = register_all().await;
    let reasons = |answers: Vec<Answer<Customer>>| -> Vec<_> {
        answers
            .into_iter()
            .map(|answer| answer.map(|customer| customer.name).map_err(|refusal| refusal.reason))
            .collect()
    };
    let (first, again) = (reasons(first), reasons(again));
    assert_eq!(first, again);
    let registered = first.iter().filter(|answer| answer.is_ok()).count();
    assert!(registered > PEOPLE / 2, "{first:?}");
    assert!(
        first.iter().flat_map(|answer| answer.as_ref().err()).all(|reason| reason == "CUSTOMER_NOT_REGISTERED"),
        "{first:?}"
    );
    let request =
        ListCustomersRequest { page_size: 100, filter: "state = REGISTERED".to_owned(), ..Default::default() };
    let found = answer(customers.clone().list_customers(request)).await.expect("a list").customers;
    assert_eq!(found.iter().filter(|found| found.account.starts_with("customers/slow-")).count(), registered);
    cluster.becomes_clean(RECOVERY).await;
}
