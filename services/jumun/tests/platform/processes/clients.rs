//! The platform's clients, and the errors that they get.

use std::{collections::BTreeMap, fmt, time::Duration};

use contracts::{
    Money,
    delivery::v1::delivery_service_client::DeliveryServiceClient,
    order::v1::{
        CancelOrderRequest, CreateOrderRequest, GetOrderRequest, ListOrdersRequest, Order, order,
        order_service_client::OrderServiceClient,
    },
    payment::v1::{GetPaymentRequest, Payment, payment_service_client::PaymentServiceClient},
    store::v1::{AcceptTicketRequest, ListTicketsRequest, Ticket, store_service_client::StoreServiceClient},
};
use futures::{StreamExt, stream};
use tonic::{
    Code, Response, Status,
    transport::{Channel, Endpoint},
};
use tonic_types::StatusExt;
use uuid::Uuid;

use super::{cluster::RECOVERY, temp_env::eventually};

/// Longer than a server's deadline, so that the client gets the server's DEADLINE_EXCEEDED.
const PATIENCE: Duration = Duration::from_secs(12);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Orders in flight where many are placed.
const AT_ONCE: usize = 16;

#[derive(Clone)]
pub(crate) struct Clients {
    pub(crate) orders: OrderServiceClient<Channel>,
    pub(crate) payments: PaymentServiceClient<Channel>,
    pub(crate) stores: StoreServiceClient<Channel>,
    pub(crate) deliveries: DeliveryServiceClient<Channel>,
}

/// The outcome of a call.
pub(crate) type Answer<T> = Result<T, Refusal>;

impl Clients {
    /// Connects to each context at the first call, and reconnects when its process was down.
    pub(crate) fn new(url: impl Fn(&str) -> String) -> Self {
        let channel = |context| match url(context) {
            url if url.is_empty() => channel("http://127.0.0.1:9"),
            url => channel(&url),
        };
        Self {
            orders: OrderServiceClient::new(channel("order")),
            payments: PaymentServiceClient::new(channel("payment")),
            stores: StoreServiceClient::new(channel("store")),
            deliveries: DeliveryServiceClient::new(channel("delivery")),
        }
    }

    /// Orders with this `request_id`.
    pub(crate) async fn order(&self, wish: &Order, request_id: &str) -> Answer<Order> {
        let request = CreateOrderRequest { order: Some(wish.clone()), request_id: request_id.to_owned() };
        answer(self.orders.clone().create_order(request)).await
    }

    /// Places this number of orders with a good card; every one must succeed.
    pub(crate) async fn place(&self, count: usize) -> Vec<Order> {
        let placing = stream::iter(0..count).map(|_| async {
            let placed = self.order(&wish("tok_visa"), &new_id()).await.expect("the order is taken");
            assert_eq!(placed.state(), order::State::Placed);
            placed
        });
        placing.buffer_unordered(AT_ONCE).collect().await
    }

    pub(crate) async fn get_order(&self, name: &str) -> Answer<Order> {
        answer(self.orders.clone().get_order(GetOrderRequest { name: name.to_owned() })).await
    }

    pub(crate) async fn cancel(&self, name: &str, request_id: &str) -> Answer<Order> {
        let request = CancelOrderRequest { name: name.to_owned(), request_id: request_id.to_owned() };
        answer(self.orders.clone().cancel_order(request)).await
    }

    pub(crate) async fn accept(&self, order: &str, request_id: &str) -> Answer<Ticket> {
        let request = AcceptTicketRequest { name: ticket_of(order), request_id: request_id.to_owned() };
        answer(self.stores.clone().accept_ticket(request)).await
    }

    pub(crate) async fn payment_of(&self, order: &str) -> Answer<Payment> {
        let name = format!("payments/order-{}", id(order));
        answer(self.payments.clone().get_payment(GetPaymentRequest { name })).await
    }

    /// Every ticket, page by page.
    pub(crate) async fn tickets(&self) -> Answer<Vec<Ticket>> {
        let (mut tickets, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = ListTicketsRequest { page_size: 100, page_token, ..Default::default() };
            let page = answer(self.stores.clone().list_tickets(request)).await?;
            tickets.extend(page.tickets);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(tickets);
            }
        }
    }

    /// Waits until an order is in a state.
    pub(crate) async fn order_becomes(&self, name: &str, state: order::State) -> Order {
        eventually(&format!("{name} to be {}", state.as_str_name()), RECOVERY, || async {
            let found = self.get_order(name).await.map_err(|refusal| refusal.to_string())?;
            if found.state() == state { Ok(found) } else { Err(format!("{found:?}")) }
        })
        .await
    }

    /// Waits until no order waits for payment.
    pub(crate) async fn every_order_is_final(&self) {
        for state in ["PENDING", "VOIDING"] {
            eventually(&format!("no order to be {state}"), RECOVERY, || async {
                let filter = format!("state = {state}");
                let request = ListOrdersRequest { filter, ..ListOrdersRequest::default() };
                let found = answer(self.orders.clone().list_orders(request)).await;
                let found = found.map_err(|refusal| refusal.to_string())?.orders;
                if found.is_empty() { Ok(()) } else { Err(format!("{found:?}")) }
            })
            .await;
        }
    }
}

pub(crate) fn channel(url: &str) -> Channel {
    let endpoint = Endpoint::from_shared(url.to_owned()).expect("an address");
    endpoint.connect_timeout(CONNECT_TIMEOUT).connect_lazy()
}

/// The answer, or DEADLINE_EXCEEDED after `PATIENCE`.
pub(crate) async fn answer<T>(call: impl Future<Output = Result<Response<T>, Status>>) -> Answer<T> {
    match tokio::time::timeout(PATIENCE, call).await {
        Ok(answer) => Ok(answer.map_err(|status| Refusal::new(&status))?.into_inner()),
        Err(_) => Err(Refusal::new(&Status::deadline_exceeded("no answer at all"))),
    }
}

/// An error status, read as a client reads it.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) code: Code,
    /// "" when the error comes from the transport, not from the platform.
    pub(crate) reason: String,
    pub(crate) message: String,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) retry_after: Option<Duration>,
}

impl Refusal {
    pub(crate) fn new(status: &Status) -> Self {
        let info = status.get_details_error_info().map(|info| (info.reason, info.metadata.into_iter().collect()));
        let (reason, metadata) = info.unwrap_or_default();
        Self {
            code: status.code(),
            reason,
            message: status.message().to_owned(),
            metadata,
            retry_after: status.get_details_retry_info().and_then(|retry| retry.retry_delay),
        }
    }

    /// Whether the outcome is unknown, so that the same request may still succeed.
    pub(crate) fn leaves_it_open(&self) -> bool {
        use Code::{Cancelled, DeadlineExceeded, Internal, ResourceExhausted, Unavailable, Unknown};
        matches!(self.code, Unavailable | ResourceExhausted | DeadlineExceeded | Cancelled | Unknown | Internal)
    }

    /// Fails unless the error is this, names the order, and has RetryInfo; returns the order's name.
    pub(crate) fn expect_retry(&self, code: Code, reason: &str) -> String {
        self.expect_hint(code, reason);
        self.metadata.get("order").unwrap_or_else(|| panic!("names no order: {self}")).clone()
    }

    /// Fails unless the error is this, and has RetryInfo.
    pub(crate) fn expect_hint(&self, code: Code, reason: &str) {
        assert_eq!((self.code, self.reason.as_str()), (code, reason), "{self}");
        let retry_after = self.retry_after.unwrap_or_else(|| panic!("no RetryInfo: {self}"));
        assert!((Duration::from_millis(1)..=Duration::from_secs(10)).contains(&retry_after), "{retry_after:?}");
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}: {} {:?} {:?}", self.code, self.reason, self.message, self.metadata, self.retry_after)
    }
}

/// Two bibimbap.
pub(crate) fn wish(payment_method: &str) -> Order {
    let unit_price = Some(Money { currency_code: "KRW".to_owned(), units: 9_500, nanos: 0 });
    Order {
        customer: "customers/mina".to_owned(),
        store: "stores/gangnam".to_owned(),
        items: vec![order::Item { item: "items/bibimbap".to_owned(), quantity: 2, unit_price }],
        payment_method: payment_method.to_owned(),
        ..Order::default()
    }
}

/// A new `request_id`.
pub(crate) fn new_id() -> String {
    Uuid::now_v7().to_string()
}

/// The id in a resource name.
pub(crate) fn id(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

pub(crate) fn ticket_of(order: &str) -> String {
    format!("tickets/{}", id(order))
}
