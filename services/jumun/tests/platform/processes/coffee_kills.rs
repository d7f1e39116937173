//! Processes are killed while orders race for stock: it is reserved once, released once, and no order waits for ever.

use std::time::Duration;

use contracts::order::v1::{
    Order,
    order::{Fulfillment, State},
};
use futures::{StreamExt, stream};
use serde_json::json;

use super::{
    access::method,
    clients::{Answer, Clients, new_id, wish},
    cluster::{COFFEE_ALONE, ProcessCluster, RECOVERY},
    protocol::{Caller, PROTOCOLS},
    temp_env::eventually,
};

const ORDERS: usize = 60;
const AT_ONCE: usize = 6;
/// Less than the orders ask for.
const STOCK: i64 = 50;
const KILLS: usize = 8;
const PAUSE: Duration = Duration::from_millis(400);
pub(super) const PRODUCT: &str = "items/americano";

/// Repeats a request with the same `request_id` while its outcome is unknown.
pub(super) async fn insist<T>(what: &str, mut ask: impl AsyncFnMut() -> Answer<T>) -> Answer<T> {
    eventually(what, RECOVERY, async || match ask().await {
        Err(refusal) if refusal.leaves_it_open() => Err(refusal),
        answer => Ok(answer),
    })
    .await
}

/// An order for this number of cups, at the counter.
pub(super) fn coffee(quantity: i32) -> Order {
    let mut order = Order { fulfillment: Fulfillment::Counter.into(), ..wish("tok_visa") };
    order.items.truncate(1);
    order.items[0].item = PRODUCT.to_owned();
    order.items[0].quantity = quantity;
    order
}

/// Orders, and cancels every third order, repeating requests until they are answered.
async fn live(clients: &Clients, index: usize) -> Order {
    let order = coffee(i32::try_from(index % 3 + 1).unwrap_or(1));
    let request_id = new_id();
    let mut placed = insist("the order", || clients.order(&order, &request_id)).await;
    // Payment was killed during the call, and the order was rejected.
    while placed.as_ref().is_err_and(|refusal| refusal.reason == "ORDER_NOT_PLACED") {
        let request_id = new_id();
        placed = insist("the order", || clients.order(&order, &request_id)).await;
    }
    let placed = placed.expect("a good card");
    if index.is_multiple_of(3) {
        let request_id = new_id();
        match insist("the cancellation", || clients.cancel(&placed.name, &request_id)).await {
            Ok(cancelled) => assert_eq!(cancelled.state(), State::Cancelled),
            Err(refusal) => assert_eq!(refusal.reason, "ORDER_NOT_CANCELLABLE"),
        }
    }
    placed
}

async fn stock_is_taken_once(cluster: &mut ProcessCluster, victims: &[&'static str]) {
    cluster.start().await;
    let (clients, warehouse) = (cluster.clients(), PROTOCOLS[0].connect(&cluster.url("warehouse"), None));
    let item = json!({"stockItem": {"item": PRODUCT, "quantity": STOCK}, "requestId": new_id()});
    call(&warehouse, "CreateStockItem", &item).await;
    let living = async {
        let orders = stream::iter(0..ORDERS).map(|index| live(&clients, index)).buffer_unordered(AT_ONCE);
        orders.collect::<Vec<_>>().await
    };
    let killing = async {
        for victim in victims.iter().cycle().take(KILLS) {
            tokio::time::sleep(PAUSE).await;
            cluster.program(victim).kill();
            cluster.program(victim).start().await;
        }
    };
    let (orders, ()) = tokio::join!(living, killing);
    cluster.becomes_clean(RECOVERY).await;
    let restock = json!({"name": "stockItems/americano", "quantity": 1_000, "requestId": new_id()});
    call(&warehouse, "Restock", &restock).await;
    for order in &orders {
        eventually(&format!("{} to be served or withdrawn", order.name), RECOVERY, || async {
            let found = clients.get_order(&order.name).await.map_err(|refusal| refusal.to_string())?;
            let ends = matches!(found.state(), State::Producing | State::Cancelled);
            if ends { Ok(()) } else { Err(format!("{found:?}")) }
        })
        .await;
    }
    cluster.becomes_clean(RECOVERY).await;
}

pub(super) async fn call(warehouse: &Caller, name: &str, request: &serde_json::Value) {
    let method = method(&format!("warehouse.v1.WarehouseService/{name}"));
    insist(name, || warehouse.call(&method, request)).await.expect("an answer");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_take_no_stock_twice_in_one_process() {
    stock_is_taken_once(&mut ProcessCluster::whole(), &["kitchen"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs servers: make test"]
async fn kills_of_kitchen_warehouse_and_order_take_no_stock_twice_on_databases_of_both_kinds() {
    let mut cluster = ProcessCluster::split(COFFEE_ALONE).await;
    let file = cluster.temp_env.path("kitchen.db");
    cluster.set_database("kitchen", &format!("sqlite://{}", file.display()));
    stock_is_taken_once(&mut cluster, &["kitchen", "warehouse", "order"]).await;
}
