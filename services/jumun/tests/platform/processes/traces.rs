//! One order is one trace through every context that handles it, over calls and events.

use std::time::Duration;

use contracts::{
    delivery::v1::{
        CompleteDeliveryRequest, Delivery, GetDeliveryRequest, PickUpDeliveryRequest, StartDeliveryRequest,
        delivery::State as DeliveryState,
    },
    order::v1::{CreateOrderRequest, order::State as OrderState},
    store::v1::{AcceptTicketRequest, FinishCookingRequest, GetTicketRequest, StartCookingRequest},
};
use tonic::{Request, metadata::MetadataValue};
use uuid::Uuid;

use super::{
    super::contexts::names,
    clients::{Clients, answer, id, new_id, ticket_of, wish},
    cluster::{ProcessCluster, RECOVERY},
    temp_env::{eventually, given},
    trace::{Collector, Sink, Span},
};

/// How long spans may take to reach the collector.
pub(super) const BOUND: Duration = Duration::from_secs(20);
const PARENT: &str = "b7ad6b7169203331";

/// A span's context, kind and name.
type Spot = (&'static str, &'static str, &'static str);

const CREATE: Spot = ("order", "server", "jumun.order.v1.OrderService/CreateOrder");
const ASK: Spot = ("order", "client", "jumun.payment.v1.PaymentService/AuthorizePayment");
const AUTHORIZE: Spot = ("payment", "server", "jumun.payment.v1.PaymentService/AuthorizePayment");
const CAPTURE: Spot = ("payment", "consumer", "process order.OrderPlaced by payment-on-order");
const OPEN: Spot = ("store", "consumer", "process order.OrderPlaced by store-on-order");
const ACCEPT: Spot = ("store", "server", "jumun.store.v1.StoreService/AcceptTicket");
const SCHEDULE: Spot = ("delivery", "consumer", "process store.TicketAccepted by delivery-on-store");
const COMPLETE: Spot = ("delivery", "server", "jumun.delivery.v1.DeliveryService/CompleteDelivery");
const FOLLOW: Spot = ("order", "consumer", "process delivery.DeliveryCompleted by order-on-delivery");

/// What CreateOrder leads to.
const ORDERED: &[(Spot, Spot)] = &[
    (CREATE, ASK),
    (ASK, AUTHORIZE),
    (CREATE, OPEN),
    (CREATE, CAPTURE),
    (CREATE, ("dashboard", "consumer", "process order.OrderPlaced by dashboard-on-order")),
    (AUTHORIZE, ("dashboard", "consumer", "process payment.PaymentAuthorized by dashboard-on-payment")),
    (CAPTURE, ("dashboard", "consumer", "process payment.PaymentCaptured by dashboard-on-payment")),
    (OPEN, ("dashboard", "consumer", "process store.TicketOpened by dashboard-on-store")),
];
/// What it also leads to if a broker carries the events; within a process, consumers read the history.
const SENT: &[(Spot, Spot)] = &[(CREATE, ("order", "producer", "send order.OrderPlaced"))];
/// What AcceptTicket leads to.
const ACCEPTED: &[(Spot, Spot)] = &[
    (ACCEPT, SCHEDULE),
    (ACCEPT, ("order", "consumer", "process store.TicketAccepted by order-on-store")),
    (ACCEPT, ("dashboard", "consumer", "process store.TicketAccepted by dashboard-on-store")),
    (SCHEDULE, ("dashboard", "consumer", "process delivery.DeliveryScheduled by dashboard-on-delivery")),
];
/// What CompleteDelivery leads to.
const COMPLETED: &[(Spot, Spot)] = &[
    (COMPLETE, FOLLOW),
    (COMPLETE, ("dashboard", "consumer", "process delivery.DeliveryCompleted by dashboard-on-delivery")),
    (FOLLOW, ("dashboard", "consumer", "process order.OrderCompleted by dashboard-on-order")),
];

/// The traces of one order, one for each command of a person.
struct Course {
    ordered: String,
    accepted: String,
    completed: String,
}

/// A request with a trace context, and the id of the trace.
pub(super) fn traced<T>(message: T) -> (String, Request<T>) {
    let trace = Uuid::now_v7().simple().to_string();
    let mut request = Request::new(message);
    let traceparent = MetadataValue::try_from(format!("00-{trace}-{PARENT}-01")).expect("ASCII");
    request.metadata_mut().insert("traceparent", traceparent);
    (trace, request)
}

/// Orders, cooks and delivers.
async fn play(clients: &Clients) -> Course {
    let mut clients = clients.clone();
    let request = CreateOrderRequest { order: Some(wish("tok_visa")), request_id: new_id() };
    let (ordered, request) = traced(request);
    let order = answer(clients.orders.create_order(request)).await.expect("an order");
    let (name, delivery) = (ticket_of(&order.name), format!("deliveries/{}", id(&order.name)));

    let ticket = || answer_to_get(&clients, &name);
    eventually("the ticket", RECOVERY, ticket).await;
    let (accepted, request) = traced(AcceptTicketRequest { name: name.clone(), request_id: new_id() });
    answer(clients.stores.accept_ticket(request)).await.expect("accepted");
    let request = StartCookingRequest { name: name.clone(), request_id: new_id() };
    answer(clients.stores.start_cooking(request)).await.expect("cooking");
    let request = FinishCookingRequest { name, request_id: new_id() };
    answer(clients.stores.finish_cooking(request)).await.expect("cooked");

    delivery_becomes(&clients, &delivery, |found| found.ready).await;
    let (name, rider) = (delivery.clone(), "riders/joon".to_owned());
    let request = StartDeliveryRequest { name, rider, request_id: new_id() };
    answer(clients.deliveries.start_delivery(request)).await.expect("started");
    let request = PickUpDeliveryRequest { name: delivery.clone(), request_id: new_id() };
    answer(clients.deliveries.pick_up_delivery(request)).await.expect("picked up");
    delivery_becomes(&clients, &delivery, |found| found.state() == DeliveryState::PickedUp).await;
    let (completed, request) = traced(CompleteDeliveryRequest { name: delivery, request_id: new_id() });
    answer(clients.deliveries.complete_delivery(request)).await.expect("completed");
    clients.order_becomes(&order.name, OrderState::Completed).await;
    Course { ordered, accepted, completed }
}

async fn answer_to_get(clients: &Clients, name: &str) -> Result<(), String> {
    let request = GetTicketRequest { name: name.to_owned() };
    answer(clients.stores.clone().get_ticket(request)).await.map(drop).map_err(|refusal| refusal.to_string())
}

async fn delivery_becomes(clients: &Clients, name: &str, holds: fn(&Delivery) -> bool) {
    eventually("the delivery to go on", RECOVERY, || async {
        let request = GetDeliveryRequest { name: name.to_owned() };
        let found = answer(clients.deliveries.clone().get_delivery(request)).await;
        let found = found.map_err(|refusal| refusal.to_string())?;
        if holds(&found) { Ok(()) } else { Err(format!("{found:?}")) }
    })
    .await;
}

fn is_at(span: &Span, (context, kind, name): Spot, split: bool) -> bool {
    span.kind == kind && span.name == name && (!split || span.service == service(context))
}

fn service(context: &str) -> String {
    format!("test-{context}")
}

fn descends<'a>(spans: &'a [Span], mut span: &'a Span, ancestor: &Span) -> bool {
    while let Some(parent) = spans.iter().find(|candidate| candidate.id == span.parent) {
        if parent == ancestor {
            return true;
        }
        span = parent;
    }
    false
}

/// Whether a trace has every pair of parent and child, and is connected below the caller's own span.
fn holds_together(spans: &[Span], edges: &[(Spot, Spot)], split: bool) -> Result<(), String> {
    for &(from, to) in edges {
        let mut starts = spans.iter().filter(|span| is_at(span, from, split));
        let leads = starts.any(|start| spans.iter().any(|end| is_at(end, to, split) && descends(spans, end, start)));
        if !leads {
            return Err(format!("no path from {from:?} to {to:?} in {spans:#?}"));
        }
    }
    let is_known = |span: &Span| span.parent == PARENT || spans.iter().any(|parent| parent.id == span.parent);
    match spans.iter().find(|span| !is_known(span)) {
        Some(lost) => Err(format!("{lost:?} has lost its parent in {spans:#?}")),
        None => Ok(()),
    }
}

async fn every_act_is_one_trace(mut cluster: ProcessCluster, collector: Collector, split: bool) {
    cluster.set("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint());
    cluster.set("OTEL_BSP_SCHEDULE_DELAY", "100");
    for context in names() {
        cluster.program(context).set("OTEL_SERVICE_NAME", service(context));
    }
    cluster.start().await;
    let Course { ordered, accepted, completed } = play(&cluster.clients()).await;
    let sent = if split { SENT } else { &[] };
    for (trace, edges) in [(&ordered, ORDERED), (&ordered, sent), (&accepted, ACCEPTED), (&completed, COMPLETED)] {
        let ask = || async { holds_together(&collector.spans(trace).await, edges, split) };
        eventually("a connected trace", BOUND, ask).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs servers: make test"]
async fn an_order_is_one_trace_in_jaeger_through_five_processes() {
    let (otlp, query) = (given("JUMUN_TEST_JAEGER_OTLP"), given("JUMUN_TEST_JAEGER_QUERY"));
    let cluster = ProcessCluster::each_alone().await;
    every_act_is_one_trace(cluster, Collector::Jaeger { otlp, query }, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_is_one_trace_in_one_process() {
    let collector = Collector::Own(Sink::start().await);
    every_act_is_one_trace(ProcessCluster::whole(), collector, false).await;
}
