//! food-delivery: Mina orders, the store in Gangnam cooks, Joon delivers; and what happens when one of them fails.

use anyhow::ensure;
use contracts::{
    Money,
    order::v1::{
        CreateOrderRequest, Order,
        order::{Item, State as OrderState},
    },
    store::v1::{AcceptTicketRequest, StartCookingRequest, Ticket, ticket::State as TicketState},
};

use crate::{
    clients::Clients,
    describe::{Describe, checked, new_id, ticket_of},
    refusal::Answer,
    runner::StepResult,
};

const CURRENCY: &str = "KRW";
pub(crate) const CONTEXTS: [&str; 5] = ["order", "payment", "store", "delivery", "dashboard"];

/// The participants of one run. Their IDs are new in each run, so that runs do not affect each other.
#[derive(Clone)]
pub(crate) struct Cast {
    pub(crate) clients: Clients,
    pub(crate) customer: String,
    pub(crate) store: String,
    /// The store of the concurrent orders.
    pub(crate) busy_store: String,
    pub(crate) rider: &'static str,
}

impl Cast {
    pub(crate) fn new(clients: Clients) -> Self {
        // The last digits of a version 7 UUID are random; the first are the time.
        let run = new_id().split_off(24);
        Self {
            clients,
            customer: format!("customers/mina-{run}"),
            store: format!("stores/gangnam-{run}"),
            busy_store: format!("stores/hongdae-{run}"),
            rider: "riders/joon",
        }
    }

    /// The order of Mina: two bibimbap and a sikhye.
    pub(crate) fn draft(&self, payment_method: &str) -> Order {
        Order {
            customer: self.customer.clone(),
            store: self.store.clone(),
            items: vec![item("items/bibimbap", 2, 9_500), item("items/sikhye", 1, 3_000)],
            payment_method: payment_method.to_owned(),
            ..Order::default()
        }
    }

    /// Places an order with a request_id.
    pub(crate) async fn order(&self, draft: &Order, request_id: &str) -> Answer<Order> {
        let request = CreateOrderRequest { order: Some(draft.clone()), request_id: request_id.to_owned() };
        self.clients.create_order(request).await
    }

    /// Places an order with a valid card; fails unless it is placed.
    pub(crate) async fn place(&self) -> StepResult<Order> {
        let draft = self.draft("tok_visa");
        let order = self.order(&draft, &new_id()).await?;
        require_placed(&order, &draft)?;
        let text = format!("{}, paid by {}", order.describe(), order.payment);
        Ok((order, text))
    }

    /// The store reads the ticket of the order.
    pub(crate) async fn open_ticket(&self, order: &Order) -> StepResult<Ticket> {
        let ticket = self.clients.ticket_becomes(&order.name, TicketState::Open).await?;
        let expected = format!("the ticket of {} at {}", order.name, order.store);
        checked(ticket, &expected, |ticket| ticket.order == order.name && ticket.store == order.store)
    }

    /// The store accepts the ticket.
    pub(crate) async fn accept_ticket(&self, order: &Order) -> StepResult<Ticket> {
        let request = AcceptTicketRequest { name: ticket_of(&order.name), request_id: new_id() };
        let ticket = self.clients.accept_ticket(request).await?;
        checked(ticket, "ACCEPTED", |ticket| ticket.state() == TicketState::Accepted)
    }

    /// The store starts cooking.
    pub(crate) async fn start_cooking(&self, order: &Order) -> StepResult<Ticket> {
        let request = StartCookingRequest { name: ticket_of(&order.name), request_id: new_id() };
        let ticket = self.clients.start_cooking(request).await?;
        checked(ticket, "COOKING", |ticket| ticket.state() == TicketState::Cooking)
    }
}

pub(crate) fn item(item: &str, quantity: i32, price: i64) -> Item {
    let unit_price = Money { currency_code: CURRENCY.to_owned(), units: price, nanos: 0 };
    Item { item: item.to_owned(), quantity, unit_price: Some(unit_price) }
}

/// The total of an order.
pub(crate) fn total(draft: &Order) -> Money {
    let line = |item: &Item| item.unit_price.as_ref().map_or(0, |price| price.units) * i64::from(item.quantity);
    Money { currency_code: CURRENCY.to_owned(), units: draft.items.iter().map(line).sum(), nanos: 0 }
}

/// Fails unless the order is the requested one, PLACED and paid.
pub(crate) fn require_placed(order: &Order, draft: &Order) -> anyhow::Result<()> {
    ensure!(order.state() == OrderState::Placed, "expected a PLACED order, got {}", order.describe());
    ensure!(!order.payment.is_empty(), "expected a payment, got none");
    let is_same = order.customer == draft.customer && order.store == draft.store && order.items == draft.items;
    ensure!(is_same, "expected the requested order, got {order:?}");
    ensure!(order.total == Some(total(draft)), "expected a total of {:?}, got {:?}", total(draft), order.total);
    Ok(())
}
