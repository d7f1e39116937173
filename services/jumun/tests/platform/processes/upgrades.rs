//! The data that release 0.1.0 left when it was killed is migrated, its open work is finished, and it is used further.
//!
//! `tests/fixtures/README.md` says what the data contains and how it was made.

use std::{path::PathBuf, process::Command};

use contracts::{
    order::v1::{Order, order::Fulfillment, order::State},
    payment::v1::payment::State as PaymentState,
};
use serde_json::{Value as Json, json};

use super::{
    access::method,
    clients::{Clients, id, new_id, wish},
    cluster::{ProcessCluster, RECOVERY, text},
    protocol::{Caller, PROTOCOLS},
    temp_env::{eventually, tool},
};

/// How the schema is brought up to date.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Migrated {
    /// By the process that serves, when it starts.
    AtStart,
    /// By `jumun migrate`, before a process starts that may not migrate.
    Before,
}

fn fixture(file: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests/fixtures/release-0.1.0", file].iter().collect()
}

/// Runs a program to its end, and returns what it printed.
fn run(command: &mut Command) -> Vec<u8> {
    let done = command.output().expect("it runs");
    assert!(done.status.success(), "{command:?}: {}", text(&done));
    done.stdout
}

/// The orders as the old release returned them, with the `request_id` that made each.
struct Recorded(Vec<Json>);

impl Recorded {
    fn read(file: &str) -> Self {
        let lines = std::fs::read_to_string(fixture(file)).expect("the recorded orders");
        Self(lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect())
    }

    fn order(&self, request_id: &str) -> &Json {
        let found = self.0.iter().find(|recorded| recorded["request_id"] == request_id);
        &found.unwrap_or_else(|| panic!("{request_id} is not recorded"))["order"]
    }

    fn name(&self, request_id: &str) -> &str {
        self.order(request_id)["name"].as_str().expect("a name")
    }
}

/// What the old release was asked for.
fn old_wish(payment_method: &str, fulfillment: Fulfillment, item: &str) -> Order {
    let mut order = Order { fulfillment: fulfillment.into(), ..wish(payment_method) };
    item.clone_into(&mut order.items[0].item);
    order
}

fn delivered(payment_method: &str) -> Order {
    old_wish(payment_method, Fulfillment::Delivery, "items/bibimbap")
}

async fn call(caller: &Caller, name: &str, request: &Json) -> Json {
    caller.call(&method(name), request).await.unwrap_or_else(|refusal| panic!("{name}: {refusal}"))
}

/// Every entry of a list, page by page.
async fn list(caller: &Caller, name: &str, field: &str, filter: &str) -> Vec<Json> {
    let (mut entries, mut token) = (Vec::new(), Json::from(""));
    loop {
        let request = json!({"pageSize": 100, "pageToken": token, "filter": filter});
        let page = call(caller, name, &request).await;
        entries.extend(page[field].as_array().cloned().unwrap_or_default());
        match &page["nextPageToken"] {
            Json::String(next) if !next.is_empty() => token = next.as_str().into(),
            _ => return entries,
        }
    }
}

async fn is_taken_over(mut cluster: ProcessCluster, recorded: &Recorded, migrated: Migrated) {
    if migrated == Migrated::Before {
        let done = cluster.run(&["migrate"]).await;
        assert!(done.status.success(), "{}", text(&done));
        cluster.set("JUMUN_MIGRATE", "false");
    }
    cluster.start().await;
    let (clients, caller) = (cluster.clients(), PROTOCOLS[0].connect(&cluster.url("order"), None));
    dead_letters_are_applied(&caller).await;
    open_work_is_finished(&clients).await;
    cluster.becomes_clean(RECOVERY).await;
    orders_read_as_recorded(&caller, recorded).await;
    requests_stay_idempotent(&clients, recorded).await;
    old_aggregates_go_on(&clients, &caller, recorded).await;
    assert_eq!(clients.place(1).await.len(), 1);
    cluster.becomes_clean(RECOVERY).await;
}

async fn dead_letters_are_applied(caller: &Caller) {
    let list = call(caller, "admin.v1.AdminService/ListDeadLetters", &json!({})).await;
    let dead_letters = list["deadLetters"].as_array().map_or(0, Vec::len);
    assert!(dead_letters > 1, "{list}");
    let redriven = call(caller, "admin.v1.AdminService/RedriveDeadLetters", &json!({})).await;
    assert_eq!(redriven["appliedCount"], dead_letters, "{redriven}");
}

/// The old release was killed while these waited for another context.
async fn open_work_is_finished(clients: &Clients) {
    clients.every_order_is_final().await;
    for (request_id, card) in [
        ("release-tok_lost", "tok_lost"),
        ("release-tok_late", "tok_late"),
        ("release-pending-tok_lost", "tok_lost"),
        ("release-pending-tok_late", "tok_late"),
    ] {
        let refusal = clients.order(&delivered(card), request_id).await.expect_err("its payment is unknown");
        assert_eq!(refusal.reason, "ORDER_NOT_PLACED", "{request_id}: {refusal}");
        let payment = clients.payment_of(&refusal.metadata["order"]).await.expect("a tombstone");
        assert_eq!(payment.state(), PaymentState::Voided, "{request_id}");
    }
    let taking = old_wish("tok_visa", Fulfillment::Counter, "items/mocha");
    let taking = clients.order(&taking, "release-taking").await.expect("the order is placed");
    clients.order_becomes(&taking.name, State::Producing).await;
}

async fn orders_read_as_recorded(caller: &Caller, recorded: &Recorded) {
    let listed = list(caller, "order.v1.OrderService/ListOrders", "orders", r#"customer = "customers/mina""#).await;
    let views = list(caller, "dashboard.v1.DashboardService/ListOrderViews", "orderViews", "").await;
    for (request_id, state) in [
        ("release-placed", "PLACED"),
        ("release-accepted", "ACCEPTED"),
        ("release-cooking", "COOKING"),
        ("release-completed", "COMPLETED"),
        ("release-cancelled", "CANCELLED"),
        ("release-producing", "PRODUCING"),
        ("release-waiting", "OUT_OF_STOCK"),
    ] {
        let order = recorded.order(request_id);
        let name = recorded.name(request_id);
        assert_eq!(order["state"], state, "{request_id}");
        assert_eq!(order["total"], json!({"currencyCode": "KRW", "units": "19000"}), "{request_id}");
        let found = call(caller, "order.v1.OrderService/GetOrder", &json!({"name": name})).await;
        assert_eq!(&found, order, "{request_id}");
        assert!(listed.contains(order), "{request_id} is not listed");
        let view = views.iter().find(|view| view["name"] == format!("orderViews/{}", id(name)));
        let view = view.unwrap_or_else(|| panic!("{request_id} has no view"));
        let payment_state = if state == "CANCELLED" { "REFUNDED" } else { "CAPTURED" };
        assert_eq!((&view["state"], &view["paymentState"]), (&state.into(), &payment_state.into()), "{view}");
    }
}

async fn requests_stay_idempotent(clients: &Clients, recorded: &Recorded) {
    for request_id in ["release-placed", "release-completed"] {
        let repeated = clients.order(&delivered("tok_visa"), request_id).await.expect("the same order");
        assert_eq!(repeated.name, recorded.name(request_id));
        let refusal = clients.order(&delivered("tok_slow"), request_id).await.expect_err("another body");
        assert_eq!(refusal.reason, "REQUEST_ID_REUSED", "{refusal}");
    }
    let refusal = clients.order(&delivered("tok_declined"), "release-declined").await.expect_err("it was declined");
    assert_eq!(refusal.reason, "PAYMENT_DECLINED", "{refusal}");
    let cancelled =
        clients.cancel(recorded.name("release-cancelled"), "release-cancel").await.expect("the same answer");
    assert_eq!(cancelled.state(), State::Cancelled);
}

/// Each takes its next event, which consumers accept only with the next number.
async fn old_aggregates_go_on(clients: &Clients, caller: &Caller, recorded: &Recorded) {
    for request_id in ["release-placed", "release-waiting"] {
        let name = recorded.name(request_id);
        let cancelled = clients.cancel(name, &new_id()).await.expect("it is not made yet");
        assert_eq!(cancelled.state(), State::Cancelled);
        eventually(&format!("{request_id} to be refunded"), RECOVERY, || async {
            let view = json!({"name": format!("orderViews/{}", id(name))});
            let view = call(caller, "dashboard.v1.DashboardService/GetOrderView", &view).await;
            let payment = clients.payment_of(name).await.map_err(|refusal| refusal.to_string())?;
            let refunded = payment.state() == PaymentState::Refunded && view["paymentState"] == "REFUNDED";
            if refunded && view["state"] == "CANCELLED" { Ok(()) } else { Err(format!("{payment:?} {view}")) }
        })
        .await;
    }
}

/// Every context in one process, on the data folder of the old release.
async fn the_old_data_folder_is_taken_over(migrated: Migrated) {
    let cluster = ProcessCluster::whole();
    let folder = cluster.temp_env.path("data");
    run(Command::new("tar").arg("-xzf").arg(fixture("sqlite.tar.gz")).arg("-C").arg(folder));
    is_taken_over(cluster, &Recorded::read("sqlite.jsonl"), migrated).await;
}

/// Every context in one process, on the database of the old release and a broker that has none of its events.
async fn the_old_database_is_taken_over(migrated: Migrated) {
    let (cluster, url) = ProcessCluster::whole_on_servers().await;
    let dump = cluster.temp_env.path("dump.sql");
    let sql = run(Command::new("gzip").arg("-dc").arg(fixture("postgres.sql.gz")));
    std::fs::write(&dump, sql).expect("a file");
    run(Command::new(tool("psql")).args(["-Xq", "-v", "ON_ERROR_STOP=1", &url, "-f"]).arg(dump));
    is_taken_over(cluster, &Recorded::read("postgres.jsonl"), migrated).await;
}

#[tokio::test]
async fn a_data_folder_of_release_0_1_0_is_taken_over() {
    the_old_data_folder_is_taken_over(Migrated::AtStart).await;
}

#[tokio::test]
async fn a_data_folder_of_release_0_1_0_is_migrated_before_the_start() {
    the_old_data_folder_is_taken_over(Migrated::Before).await;
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn a_database_of_release_0_1_0_is_taken_over() {
    the_old_database_is_taken_over(Migrated::AtStart).await;
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn a_database_of_release_0_1_0_is_migrated_before_the_start() {
    the_old_database_is_taken_over(Migrated::Before).await;
}
