//! Steps of the food-delivery journeys: Mina orders, the store in Gangnam cooks, Joon delivers.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use contracts::{
    Money,
    dashboard::v1::{GetOrderViewRequest, OrderView, dashboard_service_client::DashboardServiceClient},
    delivery::v1::{
        CompleteDeliveryRequest, Delivery, GetDeliveryRequest, PickUpDeliveryRequest, StartDeliveryRequest,
        delivery_service_client::DeliveryServiceClient,
    },
    order::v1::{
        CancelOrderRequest, CreateOrderRequest, GetOrderRequest, Order,
        order::{Item, State},
        order_service_client::OrderServiceClient,
    },
    payment::v1::{GetPaymentRequest, Payment, payment_service_client::PaymentServiceClient},
    store::v1::{
        AcceptTicketRequest, FinishCookingRequest, GetTicketRequest, RejectTicketRequest, StartCookingRequest, Ticket,
        store_service_client::StoreServiceClient,
    },
};
use rpc::GrpcStack;
use runtime::Settings;
use testkit::TestCluster;
use tonic::{Response, Status};
use tonic_types::StatusExt;

use super::super::contexts;

/// Longer than an order may wait for payment before the recovery takes over.
pub(super) const ABANDONED: Duration = Duration::from_secs(6);
/// Longer than `tok_late` takes to charge.
pub(super) const LATE: Duration = Duration::from_secs(9);

pub(crate) struct Food {
    pub(crate) cluster: TestCluster,
}

impl Food {
    pub(crate) async fn open() -> Self {
        Self { cluster: TestCluster::new(admin::platform(), contexts::all()).await }
    }

    /// The same in a process started for drills, where an operator can inject faults.
    pub(crate) async fn open_for_drills() -> Self {
        let settings = Settings { drills: true, ..Settings::default() };
        Self { cluster: TestCluster::with(admin::platform(), contexts::all(), settings, BTreeMap::new()).await }
    }

    /// Settles, and asserts that nothing is left pending and all payments match.
    pub(crate) async fn close(self) {
        self.cluster.settle().await;
        self.assert_that_the_money_agrees().await;
        self.cluster.finish().await;
    }

    // --- Mina ---------------------------------------------------------------------------------------------

    pub(crate) fn orders(&self) -> OrderServiceClient<GrpcStack> {
        OrderServiceClient::new(self.cluster.channel())
    }

    pub(crate) async fn order(&self, request_id: &str, order: &Order) -> Result<Order, Status> {
        let request = CreateOrderRequest { order: Some(order.clone()), request_id: request_id.to_owned() };
        inner(self.orders().create_order(request).await)
    }

    /// A placed order.
    pub(crate) async fn place(&self, request_id: &str) -> Order {
        let order = self.order(request_id, &wish("tok_visa")).await.expect("a good card");
        assert_eq!(order.state(), State::Placed);
        self.cluster.settle().await;
        order
    }

    /// The order, once all events are applied.
    pub(super) async fn get(&self, name: &str) -> Order {
        self.cluster.settle().await;
        let request = GetOrderRequest { name: name.to_owned() };
        inner(self.orders().get_order(request).await).expect("an order")
    }

    pub(crate) async fn cancel(&self, name: &str) -> Result<Order, Status> {
        let request = CancelOrderRequest { name: name.to_owned(), request_id: String::new() };
        let cancelled = inner(self.orders().cancel_order(request).await);
        self.cluster.settle().await;
        cancelled
    }

    pub(super) fn payments(&self) -> PaymentServiceClient<GrpcStack> {
        PaymentServiceClient::new(self.cluster.channel())
    }

    pub(super) async fn payment_of(&self, order: &str) -> Result<Payment, Status> {
        inner(self.payments().get_payment(GetPaymentRequest { name: payment_name(order) }).await)
    }

    /// The states of the order, its payment and its charge at the provider; "" where there is none.
    pub(super) async fn states_of(&self, order: &str) -> (String, String, String) {
        self.cluster.settle().await;
        let id = order.replace("orders/", "");
        let payment = format!("order-{id}");
        (
            self.states("order", "order", "orders").await.remove(&id).unwrap_or_default(),
            self.states("payment", "payment", "payments").await.remove(&payment).unwrap_or_default(),
            self.states("payment", payment::PROVIDER_SCHEMA, "charges").await.remove(&payment).unwrap_or_default(),
        )
    }

    /// The state of every row of a table, by id.
    pub(super) async fn states(&self, context: &str, schema: &str, table: &'static str) -> HashMap<String, String> {
        states(&self.cluster, context, schema, table).await
    }

    /// Rules S1 and S2: money is held for confirmed orders only.
    async fn assert_that_the_money_agrees(&self) {
        let payments = self.states("payment", "payment", "payments").await;
        let charges = self.states("payment", payment::PROVIDER_SCHEMA, "charges").await;
        let of = |states: &HashMap<String, String>, id: &str| {
            states.get(&format!("order-{id}")).cloned().unwrap_or_default()
        };
        for (id, state) in self.states("order", "order", "orders").await {
            let money = (of(&payments, &id), of(&charges, &id));
            let money = (money.0.as_str(), money.1.as_str());
            let agrees = match state.as_str() {
                "REJECTED" => matches!(money, ("DECLINED", "DECLINED") | ("VOIDED", "RELEASED") | ("", "")),
                "CANCELLED" => money == ("REFUNDED", "GIVEN_BACK"),
                "PENDING" | "VOIDING" => false,
                _ => money == ("CAPTURED", "TAKEN"),
            };
            assert!(agrees, "orders/{id} is {state}, its payment and charge are {money:?}");
        }
    }

    // --- the store, the rider, the dashboard --------------------------------------------------------------

    fn store(&self) -> StoreServiceClient<GrpcStack> {
        StoreServiceClient::new(self.cluster.channel())
    }

    pub(super) async fn ticket(&self, order: &str) -> Result<Ticket, Status> {
        self.cluster.settle().await;
        inner(self.store().get_ticket(GetTicketRequest { name: ticket_name(order) }).await)
    }

    pub(crate) async fn accept(&self, order: &str) -> Result<Ticket, Status> {
        let request = AcceptTicketRequest { name: ticket_name(order), request_id: String::new() };
        let answer = inner(self.store().accept_ticket(request).await);
        self.cluster.settle().await;
        answer
    }

    pub(super) async fn reject(&self, order: &str) -> Result<Ticket, Status> {
        let request = RejectTicketRequest { name: ticket_name(order), request_id: String::new() };
        let answer = inner(self.store().reject_ticket(request).await);
        self.cluster.settle().await;
        answer
    }

    pub(super) async fn start_cooking(&self, order: &str) -> Result<Ticket, Status> {
        let request = StartCookingRequest { name: ticket_name(order), request_id: String::new() };
        let answer = inner(self.store().start_cooking(request).await);
        self.cluster.settle().await;
        answer
    }

    pub(super) async fn finish_cooking(&self, order: &str) -> Result<Ticket, Status> {
        let request = FinishCookingRequest { name: ticket_name(order), request_id: String::new() };
        let answer = inner(self.store().finish_cooking(request).await);
        self.cluster.settle().await;
        answer
    }

    fn riders(&self) -> DeliveryServiceClient<GrpcStack> {
        DeliveryServiceClient::new(self.cluster.channel())
    }

    pub(super) async fn delivery(&self, order: &str) -> Result<Delivery, Status> {
        self.cluster.settle().await;
        inner(self.riders().get_delivery(GetDeliveryRequest { name: delivery_name(order) }).await)
    }

    pub(super) async fn start_delivery(&self, order: &str) -> Result<Delivery, Status> {
        let rider = "riders/joon".to_owned();
        let request = StartDeliveryRequest { name: delivery_name(order), rider, request_id: String::new() };
        let answer = inner(self.riders().start_delivery(request).await);
        self.cluster.settle().await;
        answer
    }

    pub(super) async fn pick_up(&self, order: &str) -> Result<Delivery, Status> {
        let request = PickUpDeliveryRequest { name: delivery_name(order), request_id: String::new() };
        let answer = inner(self.riders().pick_up_delivery(request).await);
        self.cluster.settle().await;
        answer
    }

    pub(super) async fn complete(&self, order: &str) -> Result<Delivery, Status> {
        let request = CompleteDeliveryRequest { name: delivery_name(order), request_id: String::new() };
        let answer = inner(self.riders().complete_delivery(request).await);
        self.cluster.settle().await;
        answer
    }

    pub(super) async fn view(&self, order: &str) -> OrderView {
        self.cluster.settle().await;
        let request = GetOrderViewRequest { name: order.replace("orders/", "orderViews/") };
        let mut dashboard = DashboardServiceClient::new(self.cluster.channel());
        inner(dashboard.get_order_view(request).await).expect("a view")
    }
}

/// The state of every row of a table, by id.
pub(super) async fn states(
    cluster: &TestCluster,
    context: &str,
    schema: &str,
    table: &'static str,
) -> HashMap<String, String> {
    let database = cluster.database(context, schema);
    let read = database.read(move |connection| {
        let rows = connection.query(&format!("SELECT id, state FROM {table}"), &[])?;
        rows.into_iter().map(|mut row| Ok((row.text()?, row.text()?))).collect()
    });
    read.await.expect("a readable table")
}

/// Mina's order: two bibimbap and a sikhye, 22,000 won.
pub(crate) fn wish(payment_method: &str) -> Order {
    Order {
        customer: "customers/mina".to_owned(),
        store: "stores/gangnam".to_owned(),
        items: vec![item("items/bibimbap", 2, won(9_500)), item("items/sikhye", 1, won(3_000))],
        payment_method: payment_method.to_owned(),
        ..Order::default()
    }
}

pub(super) fn item(item: &str, quantity: i32, price: Money) -> Item {
    Item { item: item.to_owned(), quantity, unit_price: Some(price) }
}

pub(super) fn won(units: i64) -> Money {
    Money { currency_code: "KRW".to_owned(), units, nanos: 0 }
}

pub(super) fn payment_name(order: &str) -> String {
    order.replace("orders/", "payments/order-")
}

fn ticket_name(order: &str) -> String {
    order.replace("orders/", "tickets/")
}

fn delivery_name(order: &str) -> String {
    order.replace("orders/", "deliveries/")
}

pub(super) fn inner<T>(answer: Result<Response<T>, Status>) -> Result<T, Status> {
    answer.map(Response::into_inner)
}

/// The order that an error names.
pub(super) fn order_named_by(status: &Status) -> String {
    named_by(status, "order")
}

/// The order or enrollment that an error names.
pub(super) fn named_by(status: &Status, key: &str) -> String {
    let info = status.get_details_error_info().expect("an ErrorInfo");
    info.metadata.get(key).cloned().expect("its name")
}

/// The fields that an error names, sorted.
pub(crate) fn wrong_fields(status: &Status) -> Vec<String> {
    let violations = status.get_details_bad_request().map(|request| request.field_violations).unwrap_or_default();
    let mut fields: Vec<_> = violations.into_iter().map(|violation| violation.field).collect();
    fields.sort();
    fields
}
