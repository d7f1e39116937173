//! Every method of every context over gRPC, gRPC-web and HTTP/JSON: the same answers by each.

use std::{collections::BTreeSet, time::Duration};

use contracts::order::v1::{Order, order::Fulfillment};
use http::uri::PathAndQuery;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use jumun_core::reason_of;
use prost_reflect::{DynamicMessage, MethodDescriptor};
use serde_json::Value as Json;
use tonic::{
    Code, Status, Streaming,
    body::Body,
    client::{Grpc, GrpcService},
    transport::{Channel, Endpoint},
};
use tonic_web::{GrpcWebCall, GrpcWebClientLayer, GrpcWebClientService};
use tower::Layer;
use transcode::DynamicCodec;

use super::{
    super::{journeys::wish, processes::protocol::mapped, smallest::smallest},
    client::{Http, order, until},
};

/// The method, its request as proto3 JSON, and the same as an HTTP request: what is called, and its body. `$1` to `$4`
/// stand for the uuids of four orders, `$5` to `$7` for those of three enrollments, `$8` to `$10` for those of three
/// orders for the counter, and `$11` for that of a customer. They are called in this order. A method that has no case
/// is called with the smallest request that its contract allows.
type Case = (&'static str, &'static str, &'static str, &'static str);

const CASES: &[Case] = &[
    // First: it counts the calls of the last ten seconds.
    ("admin.v1.AdminService/GetOverloadStatus", "{}", "GET /v1/overloadStatus", ""),
    (
        "order.v1.OrderService/CreateOrder",
        r#"{"requestId": "new", "order": $order}"#,
        "POST /v1/orders?requestId=new",
        "$order",
    ),
    ("order.v1.OrderService/GetOrder", r#"{"name": "orders/$1"}"#, "GET /v1/orders/$1", ""),
    (
        "order.v1.OrderService/ListOrders",
        r#"{"pageSize": 2, "filter": "state = PLACED"}"#,
        "GET /v1/orders?pageSize=2&filter=state%20=%20PLACED",
        "",
    ),
    (
        "order.v1.OrderService/CancelOrder",
        r#"{"name": "orders/$2", "requestId": "c"}"#,
        "POST /v1/orders/$2:cancel",
        r#"{"requestId": "c"}"#,
    ),
    ("order.v1.OrderService/WatchOrder", r#"{"name": "orders/$2"}"#, "GET /v1/orders/$2:watch", ""),
    (
        "payment.v1.PaymentService/AuthorizePayment",
        concat!(
            r#"{"payable": "orders/x", "amount": {"currencyCode": "KRW", "units": 5}, "#,
            r#""paymentMethod": "tok_visa", "requestId": "a"}"#
        ),
        "POST /v1/payments:authorize",
        concat!(
            r#"{"payable": "orders/x", "amount": {"currency_code": "KRW", "units": "5"}, "#,
            r#""payment_method": "tok_visa", "request_id": "a"}"#
        ),
    ),
    (
        "payment.v1.PaymentService/VoidPayment",
        r#"{"payable": "orders/y", "requestId": "v"}"#,
        "POST /v1/payments:void",
        r#"{"payable": "orders/y", "requestId": "v"}"#,
    ),
    ("payment.v1.PaymentService/GetPayment", r#"{"name": "payments/order-$1"}"#, "GET /v1/payments/order-$1", ""),
    (
        "payment.v1.PaymentService/ListPayments",
        r#"{"filter": "state = CAPTURED"}"#,
        "GET /v1/payments?filter=state+%3D+CAPTURED",
        "",
    ),
    (
        "payment.v1.PaymentService/RefundPayment",
        r#"{"name": "payments/order-$3", "requestId": "r"}"#,
        "POST /v1/payments/order-$3:refund",
        r#"{"requestId": "r"}"#,
    ),
    (
        "store.v1.StoreService/AcceptTicket",
        r#"{"name": "tickets/$1", "requestId": "a"}"#,
        "POST /v1/tickets/$1:accept",
        r#"{"requestId": "a"}"#,
    ),
    (
        "store.v1.StoreService/StartCooking",
        r#"{"name": "tickets/$1", "requestId": "s"}"#,
        "POST /v1/tickets/$1:startCooking",
        r#"{"requestId": "s"}"#,
    ),
    (
        "store.v1.StoreService/FinishCooking",
        r#"{"name": "tickets/$1", "requestId": "f"}"#,
        "POST /v1/tickets/$1:finishCooking",
        r#"{"requestId": "f"}"#,
    ),
    (
        "store.v1.StoreService/RejectTicket",
        r#"{"name": "tickets/$4", "requestId": "r"}"#,
        "POST /v1/tickets/$4:reject",
        r#"{"requestId": "r"}"#,
    ),
    ("store.v1.StoreService/GetTicket", r#"{"name": "tickets/$1"}"#, "GET /v1/tickets/$1", ""),
    (
        "store.v1.StoreService/ListTickets",
        r#"{"filter": "store = stores/gangnam"}"#,
        "GET /v1/tickets?filter=store%3Dstores/gangnam",
        "",
    ),
    (
        "delivery.v1.DeliveryService/StartDelivery",
        r#"{"name": "deliveries/$1", "rider": "riders/joon", "requestId": "s"}"#,
        "POST /v1/deliveries/$1:start",
        r#"{"rider": "riders/joon", "requestId": "s"}"#,
    ),
    (
        "delivery.v1.DeliveryService/PickUpDelivery",
        r#"{"name": "deliveries/$1", "requestId": "p"}"#,
        "POST /v1/deliveries/$1:pickUp",
        r#"{"requestId": "p"}"#,
    ),
    (
        "delivery.v1.DeliveryService/CompleteDelivery",
        r#"{"name": "deliveries/$1", "requestId": "c"}"#,
        "POST /v1/deliveries/$1:complete",
        r#"{"requestId": "c"}"#,
    ),
    ("delivery.v1.DeliveryService/GetDelivery", r#"{"name": "deliveries/$1"}"#, "GET /v1/deliveries/$1", ""),
    ("delivery.v1.DeliveryService/ListDeliveries", "{}", "GET /v1/deliveries", ""),
    (
        "warehouse.v1.WarehouseService/CreateStockItem",
        r#"{"requestId": "n", "stockItem": {"item": "items/americano", "quantity": 5}}"#,
        "POST /v1/stockItems?requestId=n",
        r#"{"item": "items/americano", "quantity": "5"}"#,
    ),
    (
        "warehouse.v1.WarehouseService/Restock",
        r#"{"name": "stockItems/americano", "quantity": 2, "requestId": "r"}"#,
        "POST /v1/stockItems/americano:restock",
        r#"{"quantity": "2", "requestId": "r"}"#,
    ),
    (
        "warehouse.v1.WarehouseService/ReduceStock",
        r#"{"name": "stockItems/americano", "production": "productions/x", "quantity": 2}"#,
        "POST /v1/stockItems/americano:reduce",
        r#"{"production": "productions/x", "quantity": 2}"#,
    ),
    (
        "warehouse.v1.WarehouseService/ReleaseStock",
        r#"{"name": "stockItems/americano", "production": "productions/x", "quantity": 2}"#,
        "POST /v1/stockItems/americano:release",
        r#"{"production": "productions/x", "quantity": 2}"#,
    ),
    (
        "warehouse.v1.WarehouseService/GetStockItem",
        r#"{"name": "stockItems/americano"}"#,
        "GET /v1/stockItems/americano",
        "",
    ),
    (
        "warehouse.v1.WarehouseService/ListStockItems",
        r#"{"filter": "item = items/americano"}"#,
        "GET /v1/stockItems?filter=item%3Ditems/americano",
        "",
    ),
    (
        "kitchen.v1.KitchenService/CompleteProduction",
        r#"{"name": "productions/$8", "requestId": "c"}"#,
        "POST /v1/productions/$8:complete",
        r#"{"requestId": "c"}"#,
    ),
    (
        "kitchen.v1.KitchenService/FailProduction",
        r#"{"name": "productions/$9", "requestId": "f"}"#,
        "POST /v1/productions/$9:fail",
        r#"{"requestId": "f"}"#,
    ),
    (
        "kitchen.v1.KitchenService/CancelProduction",
        r#"{"name": "productions/$10", "requestId": "c"}"#,
        "POST /v1/productions/$10:cancel",
        r#"{"requestId": "c"}"#,
    ),
    ("kitchen.v1.KitchenService/GetProduction", r#"{"name": "productions/$8"}"#, "GET /v1/productions/$8", ""),
    (
        "kitchen.v1.KitchenService/ListProductions",
        r#"{"filter": "state = COMPLETED"}"#,
        "GET /v1/productions?filter=state%3DCOMPLETED",
        "",
    ),
    ("dashboard.v1.DashboardService/GetOrderView", r#"{"name": "orderViews/$1"}"#, "GET /v1/orderViews/$1", ""),
    ("dashboard.v1.DashboardService/ListOrderViews", r#"{"pageSize": 100}"#, "GET /v1/orderViews?page_size=100", ""),
    (
        "enrollment.v1.EnrollmentService/CreateEnrollment",
        r#"{"requestId": "new", "enrollment": $enrollment}"#,
        "POST /v1/enrollments?requestId=new",
        "$enrollment",
    ),
    ("enrollment.v1.EnrollmentService/GetEnrollment", r#"{"name": "enrollments/$5"}"#, "GET /v1/enrollments/$5", ""),
    (
        "enrollment.v1.EnrollmentService/ListEnrollments",
        r#"{"filter": "state = ENROLLED"}"#,
        "GET /v1/enrollments?filter=state%20=%20ENROLLED",
        "",
    ),
    (
        "enrollment.v1.EnrollmentService/CancelEnrollment",
        r#"{"name": "enrollments/$6", "requestId": "c"}"#,
        "POST /v1/enrollments/$6:cancel",
        r#"{"requestId": "c"}"#,
    ),
    (
        "education.v1.EducationService/CompleteRegistration",
        r#"{"name": "registrations/$5", "requestId": "c"}"#,
        "POST /v1/registrations/$5:complete",
        r#"{"requestId": "c"}"#,
    ),
    (
        "education.v1.EducationService/CancelRegistration",
        r#"{"name": "registrations/$7", "requestId": "x"}"#,
        "POST /v1/registrations/$7:cancel",
        r#"{"requestId": "x"}"#,
    ),
    (
        "education.v1.EducationService/GetRegistration",
        r#"{"name": "registrations/$5"}"#,
        "GET /v1/registrations/$5",
        "",
    ),
    (
        "education.v1.EducationService/ListRegistrations",
        r#"{"filter": "learner = learners/hana"}"#,
        "GET /v1/registrations?filter=learner%3Dlearners/hana",
        "",
    ),
    ("dashboard.v1.DashboardService/ListEnrollmentViews", "{}", "GET /v1/enrollmentViews", ""),
    (
        "customer.v1.CustomerService/CreateCustomer",
        r#"{"requestId": "new", "customer": $customer}"#,
        "POST /v1/customers?requestId=new",
        "$customer",
    ),
    ("customer.v1.CustomerService/GetCustomer", r#"{"name": "customers/$11"}"#, "GET /v1/customers/$11", ""),
    (
        "customer.v1.CustomerService/ListCustomers",
        r#"{"filter": "state = REGISTERED"}"#,
        "GET /v1/customers?filter=state%20=%20REGISTERED",
        "",
    ),
    (
        "customer.v1.CustomerService/CancelCustomer",
        r#"{"name": "customers/$11", "requestId": "c"}"#,
        "POST /v1/customers/$11:cancel",
        r#"{"requestId": "c"}"#,
    ),
    (
        "notification.v1.NotificationService/SendNotification",
        concat!(
            r#"{"requestId": "s", "notificationId": "n", "#,
            r#""notification": {"recipient": "customers/mina", "channel": "KAKAO", "text": "안녕"}}"#
        ),
        "POST /v1/notifications?request_id=s&notification_id=n",
        r#"{"recipient": "customers/mina", "channel": "KAKAO", "text": "안녕"}"#,
    ),
    (
        "notification.v1.NotificationService/WithdrawNotification",
        r#"{"name": "notifications/w", "requestId": "w"}"#,
        "POST /v1/notifications/w:withdraw",
        r#"{"requestId": "w"}"#,
    ),
    (
        "notification.v1.NotificationService/GetNotification",
        r#"{"name": "notifications/n"}"#,
        "GET /v1/notifications/n",
        "",
    ),
    (
        "notification.v1.NotificationService/ListNotifications",
        r#"{"filter": "recipient = customers/mina"}"#,
        "GET /v1/notifications?filter=recipient%3Dcustomers/mina",
        "",
    ),
    (
        "notification.v1.NotificationService/ListInboxMessages",
        r#"{"filter": "state = DELIVERED"}"#,
        "GET /v1/inboxMessages?filter=state=DELIVERED",
        "",
    ),
    ("dashboard.v1.DashboardService/ListCustomerViews", "{}", "GET /v1/customerViews", ""),
    ("dashboard.v1.DashboardService/WatchViews", "{}", "GET /v1/views:watch", ""),
    ("admin.v1.AdminService/ListDeadLetters", "{}", "GET /v1/deadLetters", ""),
    (
        "admin.v1.AdminService/RedriveDeadLetters",
        r#"{"context": "store"}"#,
        "POST /v1/deadLetters:redrive",
        r#"{"context": "store"}"#,
    ),
    (
        "admin.v1.AdminService/DiscardDeadLetters",
        r#"{"names": ["deadLetters/store-1"]}"#,
        "POST /v1/deadLetters:discard",
        r#"{"names": ["deadLetters/store-1"]}"#,
    ),
    ("admin.v1.AdminService/GetOutboxStatus", "{}", "GET /v1/outboxStatus", ""),
    (
        "admin.v1.AdminService/SetFault",
        r#"{"fault": {"target": "jumun.bench.v1.BenchService/Echo", "code": "INTERNAL", "delay": "0.5s", "every": 1000}}"#,
        "POST /v1/faults",
        r#"{"target": "jumun.bench.v1.BenchService/Echo", "code": "INTERNAL", "delay": "0.5s", "every": 1000}"#,
    ),
    ("admin.v1.AdminService/ListFaults", "{}", "GET /v1/faults", ""),
    (
        "admin.v1.AdminService/ClearFaults",
        r#"{"target": "jumun.bench.v1.BenchService"}"#,
        "POST /v1/faults:clear",
        r#"{"target": "jumun.bench.v1.BenchService"}"#,
    ),
    ("bench.v1.BenchService/Echo", "{}", "POST /jumun.bench.v1.BenchService/Echo", "{}"),
];

/// A customer who registers.
const CUSTOMER: &str = r#"{"displayName": "미나", "address": "Gangnam-daero 1", "age": 29, "phone": "010-1234-5678"}"#;

/// Methods whose answer is empty, always or in this test.
const SILENT: [&str; 5] = ["Echo", "ListDeadLetters", "RedriveDeadLetters", "DiscardDeadLetters", "ClearFaults"];

#[tokio::test]
async fn every_method_answers_the_same_over_grpc_grpc_web_and_json() {
    let http = Http::open().await;
    let uuids = place_orders(&http).await;
    let mut left: BTreeSet<_> = contracts::methods().map(|method| jumun_core::contracts::path(&method)).collect();
    for (method, message, call, body) in CASES {
        let path = format!("/jumun.{method}");
        assert!(left.remove(&path), "{path} is no method, or it comes twice");
        let filled = |text: &str| fill(text, &uuids);
        let method = contracts::methods().find(|method| jumun_core::contracts::path(method) == path).expect("a method");
        let message: Json = serde_json::from_str(&filled(message)).expect("JSON");
        let message = DynamicMessage::deserialize(method.input(), message).expect("a request");
        let answers = answers(&http, &method, message, &filled(call), &filled(body)).await;
        let [grpc, web, json] = answers;
        assert_eq!(web, grpc, "{path} over gRPC-web");
        assert_eq!(json, grpc, "{path} as JSON");
        assert!(SILENT.contains(&method.name()) || grpc != serde_json::json!({}), "{path} answers nothing");
        http.food.cluster.settle().await;
    }
    for method in contracts::methods().filter(|method| left.contains(&jumun_core::contracts::path(method))) {
        assert_the_smallest_request_is_answered_the_same(&http, &method, &uuids).await;
        http.food.cluster.settle().await;
    }
    http.food.cluster.finish().await;
}

/// Calls a method that has no case with the smallest request that its contract allows. The answer may be an error, but
/// not INVALID_ARGUMENT.
async fn assert_the_smallest_request_is_answered_the_same(http: &Http, method: &MethodDescriptor, uuids: &[String]) {
    let path = jumun_core::contracts::path(method);
    assert!(!method.is_server_streaming(), "{path} answers with a stream: there is no case for it");
    let request = smallest(method, |collection| format!("{collection}/{}", id_in(collection, uuids)));
    let message = DynamicMessage::deserialize(method.input(), &request).expect("a request");
    let (mut grpc, mut web) = callers(http, method).await;
    let grpc = outcome(grpc.unary(message.clone()).await);
    assert!(
        !matches!(grpc, Err((code, _)) if code == Code::InvalidArgument as i64),
        "there is no case for {path}: {grpc:?}"
    );
    assert_eq!(outcome(web.unary(message).await), grpc, "{path} over gRPC-web");
    let (verb, target, body) = mapped(method, &request);
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let answer = http.call(&format!("{verb} {target}"), &body).await;
    let reason = answer.reason().to_owned();
    let json = if answer.status == 200 {
        Ok(answer.json)
    } else {
        Err((answer.json["code"].as_i64().unwrap_or_default(), reason))
    };
    assert_eq!(json, grpc, "{path} as JSON");
}

/// The outcome of a call: the answer, or the code and the reason of the error.
fn outcome(answer: Result<DynamicMessage, Status>) -> Result<Json, (i64, String)> {
    answer.map(|message| to_json(&message)).map_err(|status| (status.code() as i64, reason_of(&status)))
}

/// The id of a resource of a collection; where there is none, an unused id.
fn id_in(collection: &str, uuids: &[String]) -> String {
    match collection {
        "payments" => format!("order-{}", uuids[0]),
        "enrollments" | "registrations" => uuids[4].clone(),
        "productions" => uuids[7].clone(),
        "customers" => uuids[10].clone(),
        "stockItems" => "americano".to_owned(),
        _ => uuids[0].clone(),
    }
}

/// Placed orders: $1 is delivered, $2 cancelled, $3 refunded, $4 rejected; enrollments: $5 is completed, $6 and $7
/// are cancelled, by the learner and by the school; and orders for the counter, while there is no stock: $8 is made, $9
/// fails, $10 is cancelled; and $11 is a registered customer.
async fn place_orders(http: &Http) -> Vec<String> {
    let mut uuids = Vec::new();
    for request in ["1", "2", "3", "4"] {
        uuids.push(http.food.place(request).await.uid);
    }
    for request in ["5", "6", "7"] {
        let call = format!("POST /v1/enrollments?requestId={request}");
        let enrollment = http.succeed(&call, &application()).await;
        uuids.push(enrollment["uid"].as_str().expect("a uuid").to_owned());
    }
    for (request, quantity) in [("8", 1), ("9", 1), ("10", 1_000)] {
        let order = http.food.order(request, &coffee(quantity)).await.expect("a good card");
        http.food.cluster.settle().await;
        uuids.push(order.uid);
    }
    uuids.push(register(http).await);
    http.food.cluster.settle().await;
    uuids
}

async fn register(http: &Http) -> String {
    let name = &http.succeed("POST /v1/customers?requestId=first", CUSTOMER).await["name"];
    name.as_str().and_then(|name| name.strip_prefix("customers/")).expect("a name").to_owned()
}

fn coffee(quantity: i32) -> Order {
    let mut order = Order { fulfillment: Fulfillment::Counter.into(), ..wish("tok_visa") };
    order.items.truncate(1);
    order.items[0].item = "items/americano".to_owned();
    order.items[0].quantity = quantity;
    order
}

fn fill(text: &str, uuids: &[String]) -> String {
    let text = text.replace("$order", &order("tok_visa")).replace("$enrollment", &application());
    let text = text.replace("$customer", CUSTOMER);
    uuids.iter().enumerate().rev().fold(text, |text, (index, uuid)| text.replace(&format!("${}", index + 1), uuid))
}

/// A learner's application as JSON.
fn application() -> String {
    concat!(
        r#"{"learner": "learners/hana", "course": "courses/rust-101", "courseTitle": "Rust", "#,
        r#""fee": {"currencyCode": "KRW", "units": "90000"}, "paymentMethod": "tok_visa"}"#
    )
    .to_owned()
}

/// The answer by each protocol; of a stream, its first message.
async fn answers(http: &Http, method: &MethodDescriptor, message: DynamicMessage, call: &str, body: &str) -> [Json; 3] {
    let (mut grpc, mut web) = callers(http, method).await;
    if !method.is_server_streaming() {
        let grpc = grpc.unary(message.clone()).await.expect("an answer over gRPC");
        let web = web.unary(message).await.expect("an answer over gRPC-web");
        return [to_json(&grpc), to_json(&web), http.succeed(call, body).await];
    }
    let mut over_grpc = grpc.stream(message.clone()).await.expect("a stream over gRPC");
    let mut over_web = web.stream(message).await.expect("a stream over gRPC-web");
    let (parts, mut events) = http.begin(call, &[], body.to_owned()).await.into_parts();
    assert_eq!(parts.headers["content-type"], "text/event-stream");
    // A stream of all views begins with the next change.
    http.food.order(method.name(), &wish("tok_visa")).await.expect("an order");
    let event = until(&mut events, "\n\n").await;
    let data = event
        .split("\n\n")
        .next()
        .and_then(|event| event.strip_prefix("data: "))
        .unwrap_or_else(|| panic!("{event:?} is no message"));
    [first(&mut over_grpc).await, first(&mut over_web).await, serde_json::from_str(data).expect("JSON")]
}

type Web = GrpcWebClientService<Client<HttpConnector, GrpcWebCall<Body>>>;

/// A method's clients over gRPC and gRPC-web.
async fn callers<'a>(http: &Http, method: &'a MethodDescriptor) -> (Caller<'a, Channel>, Caller<'a, Web>) {
    let origin = format!("http://{}", http.address);
    let channel = Endpoint::from_shared(origin.clone()).expect("a URL").connect().await.expect("a connection");
    let web = GrpcWebClientLayer::new().layer(Client::builder(TokioExecutor::new()).build_http());
    let web = Grpc::with_origin(web, origin.parse().expect("a URI"));
    (Caller { client: Grpc::new(channel), method }, Caller { client: web, method })
}

struct Caller<'a, S> {
    client: Grpc<S>,
    method: &'a MethodDescriptor,
}

impl<S> Caller<'_, S>
where
    S: GrpcService<Body>,
    S::ResponseBody: hyper::body::Body<Data = hyper::body::Bytes> + Send + 'static,
    <S::ResponseBody as hyper::body::Body>::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
{
    async fn ready(&mut self) -> (PathAndQuery, DynamicCodec) {
        self.client.ready().await.map_err(|_| "not ready").expect("a connection");
        let path = jumun_core::contracts::path(self.method).parse().expect("a path");
        (path, DynamicCodec { output: self.method.output() })
    }

    async fn unary(&mut self, message: DynamicMessage) -> Result<DynamicMessage, Status> {
        let (path, codec) = self.ready().await;
        Ok(self.client.unary(tonic::Request::new(message), path, codec).await?.into_inner())
    }

    async fn stream(&mut self, message: DynamicMessage) -> Result<Streaming<DynamicMessage>, Status> {
        let (path, codec) = self.ready().await;
        Ok(self.client.server_streaming(tonic::Request::new(message), path, codec).await?.into_inner())
    }
}

async fn first(stream: &mut Streaming<DynamicMessage>) -> Json {
    let message = tokio::time::timeout(Duration::from_secs(20), stream.message()).await;
    to_json(&message.expect("a message in time").expect("no error").expect("a message"))
}

/// Canonical proto3 JSON.
fn to_json(message: &DynamicMessage) -> Json {
    serde_json::to_value(message).expect("JSON")
}
