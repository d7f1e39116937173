//! Descriptions and names of resources, and waiting for expected states.

use std::{future::Future, time::Duration};

use anyhow::{Context, bail, ensure};
use contracts::{
    Money,
    dashboard::v1::{GetOrderViewRequest, OrderView},
    delivery::v1::{Delivery, GetDeliveryRequest, delivery::State as DeliveryState},
    education::v1::Registration,
    enrollment::v1::Enrollment,
    kitchen::v1::{GetProductionRequest, Production, production::State as ProductionState},
    order::v1::{GetOrderRequest, Order, order::State as OrderState},
    payment::v1::{GetPaymentRequest, Payment, payment::State as PaymentState},
    store::v1::{GetTicketRequest, Ticket, ticket::State as TicketState},
    warehouse::v1::StockItem,
};
pub(crate) use jumun_core::name::new_id;
use jumun_core::time::{Instant, sleep};
use tonic::Code;

use crate::{
    clients::Clients,
    refusal::{Answer, Refusal},
    runner::StepResult,
};

/// The maximum time until an expected state is reached.
const BOUND: Duration = Duration::from_secs(30);
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// A short description for the output.
pub(crate) trait Describe {
    fn describe(&self) -> String;
}

impl Describe for Order {
    fn describe(&self) -> String {
        let reason = if self.state_reason.is_empty() { String::new() } else { format!(" ({})", self.state_reason) };
        format!("{} is {}{reason}", self.name, self.state().as_str_name())
    }
}

impl Describe for Payment {
    fn describe(&self) -> String {
        let amount = self.amount.as_ref().map_or_else(|| "no amount".to_owned(), money);
        format!("{} is {}, {amount}", self.name, self.state().as_str_name())
    }
}

impl Describe for Enrollment {
    fn describe(&self) -> String {
        let reason = if self.state_reason.is_empty() { String::new() } else { format!(" ({})", self.state_reason) };
        format!("{} is {}{reason}", self.name, self.state().as_str_name())
    }
}

impl Describe for Registration {
    fn describe(&self) -> String {
        format!("{} is {}", self.name, self.state().as_str_name())
    }
}

impl Describe for Ticket {
    fn describe(&self) -> String {
        format!("{} is {}", self.name, self.state().as_str_name())
    }
}

impl Describe for Delivery {
    fn describe(&self) -> String {
        let ready = if self.ready { "ready" } else { "not ready" };
        let rider = if self.rider.is_empty() { "nobody" } else { &self.rider };
        format!("{} is {}, {ready}, rider {rider}", self.name, self.state().as_str_name())
    }
}

impl Describe for Production {
    fn describe(&self) -> String {
        let missing = if self.missing.is_empty() { String::new() } else { format!(", missing {}", self.missing) };
        format!("{} is {}{missing}", self.name, self.state().as_str_name())
    }
}

impl Describe for StockItem {
    fn describe(&self) -> String {
        format!("{} in stock of {}", self.quantity, self.name)
    }
}

impl Describe for OrderView {
    fn describe(&self) -> String {
        let history: Vec<_> = self.history.iter().map(|entry| entry.state.as_str()).collect();
        format!("{} is {}: {}", self.name, self.state, history.join(", "))
    }
}

/// Returns the value with its description; fails unless it is as expected.
pub(crate) fn checked<T: Describe>(value: T, expected: &str, holds: impl Fn(&T) -> bool) -> StepResult<T> {
    ensure!(holds(&value), "expected {expected}, got {}", value.describe());
    described(value)
}

/// Returns the value with its description.
pub(crate) fn described<T: Describe>(value: T) -> StepResult<T> {
    let text = value.describe();
    Ok((value, text))
}

/// Returns the expected error.
pub(crate) fn refused<T: Describe>(answer: Answer<T>) -> anyhow::Result<Box<Refusal>> {
    match answer {
        Ok(value) => bail!("expected a refusal, got {}", value.describe()),
        Err(refusal) => Ok(refusal),
    }
}

/// Repeats a call until the result is as expected; fails after 30 s, or if an error is permanent.
pub(crate) async fn eventually<T: Describe, A: Future<Output = Answer<T>>>(
    expected: &str,
    ask: impl Fn() -> A,
    holds: impl Fn(&T) -> bool,
) -> anyhow::Result<T> {
    let begun = Instant::now();
    loop {
        let last_seen = match ask().await {
            Ok(value) if holds(&value) => return Ok(value),
            Ok(value) => value.describe(),
            Err(refusal) if may_change(&refusal) => refusal.to_string(),
            Err(refusal) => return Err(refusal).with_context(|| format!("expected {expected}")),
        };
        ensure!(begun.elapsed() < BOUND, "expected {expected} within {} s; last seen: {last_seen}", BOUND.as_secs());
        sleep(POLL_INTERVAL).await;
    }
}

/// Whether a later call may succeed: effects of events appear with a delay.
fn may_change(refusal: &Refusal) -> bool {
    matches!(
        refusal.code,
        Code::NotFound | Code::Unavailable | Code::ResourceExhausted | Code::DeadlineExceeded | Code::Cancelled
    )
}

impl Clients {
    /// Waits until an order is in a state.
    pub(crate) async fn order_becomes(&self, order: &str, state: OrderState) -> anyhow::Result<Order> {
        let expected = format!("{order} to be {}", state.as_str_name());
        let ask = || self.get_order(GetOrderRequest { name: order.to_owned() });
        eventually(&expected, ask, |order| order.state() == state).await
    }

    /// Waits until an order's payment is in a state.
    pub(crate) async fn payment_becomes(&self, order: &str, state: PaymentState) -> anyhow::Result<Payment> {
        let name = payment_of(order);
        let expected = format!("{name} to be {}", state.as_str_name());
        let ask = || self.get_payment(GetPaymentRequest { name: name.clone() });
        eventually(&expected, ask, |payment| payment.state() == state).await
    }

    /// Waits until an order's ticket is in a state.
    pub(crate) async fn ticket_becomes(&self, order: &str, state: TicketState) -> anyhow::Result<Ticket> {
        let name = ticket_of(order);
        let expected = format!("{name} to be {}", state.as_str_name());
        let ask = || self.get_ticket(GetTicketRequest { name: name.clone() });
        eventually(&expected, ask, |ticket| ticket.state() == state).await
    }

    /// Waits until an order's delivery is as expected.
    pub(crate) async fn delivery_becomes(
        &self,
        order: &str,
        expected: &str,
        holds: impl Fn(&Delivery) -> bool,
    ) -> anyhow::Result<Delivery> {
        let name = delivery_of(order);
        let ask = || self.get_delivery(GetDeliveryRequest { name: name.clone() });
        eventually(&format!("{name} to be {expected}"), ask, holds).await
    }

    /// Waits until an order's delivery is in a state.
    pub(crate) async fn delivery_is(&self, order: &str, state: DeliveryState) -> anyhow::Result<Delivery> {
        self.delivery_becomes(order, state.as_str_name(), |delivery| delivery.state() == state).await
    }

    /// Waits until an order's production is in a state.
    pub(crate) async fn production_becomes(&self, order: &str, state: ProductionState) -> anyhow::Result<Production> {
        let name = production_of(order);
        let expected = format!("{name} to be {}", state.as_str_name());
        let ask = || self.get_production(GetProductionRequest { name: name.clone() });
        eventually(&expected, ask, |production| production.state() == state).await
    }

    /// Waits until the dashboard shows an order as expected.
    pub(crate) async fn view_becomes(
        &self,
        order: &str,
        expected: &str,
        holds: impl Fn(&OrderView) -> bool,
    ) -> anyhow::Result<OrderView> {
        let name = format!("orderViews/{}", id(order));
        let ask = || self.get_order_view(GetOrderViewRequest { name: name.clone() });
        eventually(&format!("{name} to be {expected}"), ask, holds).await
    }
}

/// The ID in a resource name.
pub(crate) fn id(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

pub(crate) fn payment_of(order: &str) -> String {
    format!("payments/order-{}", id(order))
}

pub(crate) fn ticket_of(order: &str) -> String {
    format!("tickets/{}", id(order))
}

pub(crate) fn production_of(order: &str) -> String {
    format!("productions/{}", id(order))
}

pub(crate) fn delivery_of(order: &str) -> String {
    format!("deliveries/{}", id(order))
}

/// A readable amount, e.g. `22000 KRW`.
pub(crate) fn money(money: &Money) -> String {
    let cents = money.nanos / 10_000_000;
    if cents == 0 {
        format!("{} {}", money.units, money.currency_code)
    } else {
        format!("{}.{cents:02} {}", money.units, money.currency_code)
    }
}
