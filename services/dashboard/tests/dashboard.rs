//! The dashboard in a process of its own: events arrive by the bus, and callers by gRPC.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use contracts::{
    Money,
    admin::v1::{ListDeadLettersRequest, admin_service_client::AdminServiceClient},
    dashboard::v1::{
        GetOrderViewRequest, ListOrderViewsRequest, OrderView as OrderViewResource, WatchViewsRequest,
        WatchViewsResponse, dashboard_service_client::DashboardServiceClient, watch_views_response::View,
    },
    order::v1::{self as order, order_event::Kind as Ordered},
    payment::v1::{self as payment, payment_event::Kind as Paid},
};
use dashboard::{OrderView, View as _};
use diesel_migrations::EmbeddedMigrations;
use engine::{
    Aggregate,
    storage::{Database, DatabaseUrl},
};
use eventing::{Bus, LocalBus};
use jumun_core::{Clock, Envelope, Time, reason_of};
use rpc::GrpcStack;
use runtime::{Runtime, Settings, Topology};
use tokio::sync::watch;
use tonic::{Code, Status, Streaming};

/// The changes that a watcher may lag behind, and the watchers at the same time; see `engine::Engine` and `grpc.rs`.
const MAX_UNSEEN_CHANGES: usize = 1024;
const MAX_WATCHERS: usize = 1000;
/// The contexts whose events the tests publish.
const SOURCES: [&str; 4] = ["order", "payment", "store", "delivery"];

struct Dashboard {
    runtime: Runtime,
    /// The histories of the contexts whose events it shows, and their notices.
    histories: BTreeMap<String, (Database, watch::Sender<()>)>,
    client: DashboardServiceClient<GrpcStack>,
    _directory: tempfile::TempDir,
}

impl Dashboard {
    async fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let url = format!("sqlite://{}", directory.path().join("dashboard.db").display());
        let mut topology = Topology::default();
        topology.databases.insert("dashboard".to_owned(), url.parse().expect("a database"));
        topology.migrate(&[dashboard::context()]).expect("a schema");
        let bus = LocalBus::default();
        let mut histories = BTreeMap::new();
        for context in SOURCES {
            let file = directory.path().join(format!("{context}.db"));
            let database = Database::new(context, DatabaseUrl::Sqlite(file));
            database.migrate(&EmbeddedMigrations::new(&[])).expect("a history");
            histories.insert(context.to_owned(), (database.clone(), bus.add_history(database)));
        }
        let mut runtime = Runtime::build(
            &admin::platform(),
            &[dashboard::context()],
            topology,
            Settings::default(),
            Clock::System,
            Bus::Local(bus),
        )
        .expect("a runtime");
        runtime.start().await;
        let client = DashboardServiceClient::new(runtime.stack());
        Self { runtime, histories, client, _directory: directory }
    }

    /// Publishes events, and waits until each is applied or a dead letter.
    async fn publish(&self, messages: &[Envelope]) {
        for message in messages {
            let (database, committed) = &self.histories[&message.context];
            let sql = "INSERT INTO events (aggregate, number, kind, payload, time) VALUES (?, ?, ?, ?, ?)";
            let binds = [
                message.aggregate.as_str().into(),
                message.number.into(),
                message.kind.as_str().into(),
                message.payload.as_slice().into(),
                message.time.0.into(),
            ];
            database.connect().expect("a history").execute(sql, &binds).expect("a new event");
            committed.send_replace(());
        }
        while !self.runtime.is_settled().await {
            jumun_core::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn get(&self, id: &str) -> Result<OrderViewResource, Status> {
        let request = GetOrderViewRequest { name: format!("orderViews/{id}") };
        self.client.clone().get_order_view(request).await.map(tonic::Response::into_inner)
    }

    /// The ids on every page of two, in their order.
    async fn list(&self, filter: &str) -> Vec<String> {
        let (mut ids, mut page_token) = (Vec::new(), String::new());
        loop {
            let request =
                ListOrderViewsRequest { page_size: 2, page_token, filter: filter.to_owned(), ..Default::default() };
            let page = self.client.clone().list_order_views(request).await.expect("a page").into_inner();
            ids.extend(page.order_views.iter().map(|view| view.name.replace("orderViews/", "")));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return ids;
            }
        }
    }

    async fn watch(&self) -> Result<Streaming<WatchViewsResponse>, Status> {
        self.client.clone().watch_views(WatchViewsRequest {}).await.map(tonic::Response::into_inner)
    }
}

fn message(context: &str, id: &str, number: i64, time: i64, event: &impl prost::Message) -> Envelope {
    Envelope {
        context: context.to_owned(),
        sequence: 0,
        aggregate: id.to_owned(),
        number,
        kind: String::new(),
        payload: event.encode_to_vec(),
        time: Time(time),
        traceparent: None,
        causation: None,
    }
}

fn authorized(id: &str, time: i64) -> Envelope {
    let kind = Some(Paid::Authorized(payment::PaymentAuthorized {}));
    let event = payment::PaymentEvent { payable: format!("orders/{id}"), amount: None, kind };
    message("payment", &format!("order-{id}"), 1, time, &event)
}

fn placed(id: &str, customer: &str, time: i64) -> Envelope {
    let price = Some(Money { currency_code: "EUR".to_owned(), units: 4, nanos: 500_000_000 });
    let item = order::order_summary::Item { item: "items/latte".to_owned(), quantity: 1, unit_price: price.clone() };
    let summary = order::OrderSummary {
        customer: format!("customers/{customer}"),
        store: "stores/gangnam".to_owned(),
        items: vec![item],
        total: price,
        fulfillment: "COUNTER".to_owned(),
    };
    let kind = Ordered::Placed(order::OrderPlaced {
        order: format!("orders/{id}"),
        payment: String::new(),
        summary: Some(summary),
    });
    message("order", id, 1, time, &order::OrderEvent { kind: Some(kind) })
}

fn cancelled(id: &str, time: i64) -> Envelope {
    let kind = Ordered::Cancelled(order::OrderCancelled { order: format!("orders/{id}"), ..Default::default() });
    message("order", id, 2, time, &order::OrderEvent { kind: Some(kind) })
}

fn fold(messages: &[Envelope]) -> OrderViewResource {
    let fold = |view: Option<OrderView>, message| OrderView::fold(view.as_ref(), message).expect("a readable event");
    messages.iter().fold(None, fold).expect("a view").resource()
}

#[tokio::test]
async fn a_stored_view_is_the_fold_of_the_events() {
    let dashboard = Dashboard::start().await;
    let events = [authorized("a", 1), placed("a", "mina", 2), cancelled("a", 3)];
    // Stored and read again after each.
    for count in 1..=events.len() {
        dashboard.publish(&events[count - 1..count]).await;
        assert_eq!(dashboard.get("a").await.expect("a view"), fold(&events[..count]));
    }
}

#[tokio::test]
async fn a_view_that_does_not_exist_is_not_found() {
    let dashboard = Dashboard::start().await;
    assert_eq!(dashboard.get("nobody").await.expect_err("no view").code(), Code::NotFound);
    assert_eq!(dashboard.get("No Body").await.expect_err("no name").code(), Code::InvalidArgument);
}

#[tokio::test]
async fn views_are_listed_newest_first_and_filtered() {
    let dashboard = Dashboard::start().await;
    for (id, customer, time) in [("a", "mina", 30), ("b", "joon", 10), ("c", "mina", 20)] {
        dashboard.publish(&[authorized(id, time - 9), placed(id, customer, time)]).await;
    }
    dashboard.publish(&[cancelled("c", 40), authorized("d", 50)]).await;
    assert_eq!(dashboard.list("").await, ["d", "c", "b", "a"], "ids are in the order of creation");
    assert_eq!(dashboard.list("customer = customers/mina").await, ["c", "a"]);
    assert_eq!(dashboard.list("state = PLACED AND store = stores/gangnam").await, ["b", "a"]);
    assert_eq!(dashboard.list("state = CANCELLED").await, ["c"]);
    let wrong = ListOrderViewsRequest { filter: "state = VOIDING".to_owned(), ..Default::default() };
    let error = dashboard.client.clone().list_order_views(wrong).await.expect_err("no such state here");
    assert_eq!(error.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn watchers_see_every_change_from_now_on() {
    let dashboard = Dashboard::start().await;
    dashboard.publish(&[authorized("a", 1)]).await;
    let mut watching = dashboard.watch().await.expect("a stream");
    let events = [authorized("a", 1), placed("a", "mina", 2)];
    dashboard.publish(&[placed("a", "mina", 2)]).await;
    dashboard.publish(&[authorized("b", 3)]).await;
    for expected in [fold(&events), fold(&[authorized("b", 3)])] {
        let change = watching.message().await.expect("no error").expect("a change");
        assert_eq!(change.view, Some(View::OrderView(expected)));
    }
}

#[tokio::test]
async fn a_watcher_that_falls_behind_gets_an_error() {
    let dashboard = Dashboard::start().await;
    let mut watching = dashboard.watch().await.expect("a stream");
    let events: Vec<_> = (0..=MAX_UNSEEN_CHANGES).map(|order| authorized(&format!("a{order}"), 1)).collect();
    dashboard.publish(&events).await;
    let error = watching.message().await.expect_err("too slow");
    assert_eq!((error.code(), reason_of(&error).as_str()), (Code::ResourceExhausted, "WATCHER_TOO_SLOW"));
}

#[tokio::test]
async fn watchers_are_limited_and_release_their_permit_when_they_leave() {
    let dashboard = Dashboard::start().await;
    let mut watching = Vec::new();
    for _ in 0..MAX_WATCHERS {
        watching.push(dashboard.watch().await.expect("a permit"));
    }
    let error = dashboard.watch().await.expect_err("one too many");
    assert_eq!((error.code(), reason_of(&error).as_str()), (Code::ResourceExhausted, "TOO_MANY_WATCHERS"));
    watching.pop();
    assert!(dashboard.watch().await.is_ok());
}

#[tokio::test]
async fn an_unreadable_event_and_those_behind_it_become_dead_letters() {
    let dashboard = Dashboard::start().await;
    let unreadable = Envelope { payload: b"\xff\xff\xff".to_vec(), ..placed("a", "mina", 1) };
    dashboard.publish(&[authorized("a", 1), unreadable]).await;
    dashboard.publish(&[cancelled("a", 2)]).await;
    assert_eq!(dashboard.get("a").await.expect("a view"), fold(&[authorized("a", 1)]));
    let mut admin = AdminServiceClient::new(dashboard.runtime.stack());
    let letters = admin.list_dead_letters(ListDeadLettersRequest::default()).await.expect("a list").into_inner();
    let events: BTreeSet<_> = letters.dead_letters.iter().map(|letter| letter.event.as_str()).collect();
    assert_eq!(events, BTreeSet::from(["order/a/1", "order/a/2"]));
}
