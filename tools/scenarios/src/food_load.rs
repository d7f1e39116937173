//! Many orders at once: at a store that does not react, and more than payment can serve.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{bail, ensure};
use contracts::{
    order::v1::{GetOrderRequest, Order, order::State as OrderState},
    payment::v1::{GetPaymentRequest, payment::State as PaymentState},
    store::v1::{ListTicketsRequest, Ticket, ticket::State as TicketState},
};
use jumun_core::task::JoinSet;
use tonic::Code;

use crate::{
    describe::{Describe, eventually, new_id, payment_of, ticket_of},
    food_delivery::{Cast, require_placed},
    refusal::Answer,
    runner::{ScenarioRunner, Scene, StepResult},
};

const BURST: usize = 20;
/// Not a divisor of the burst, so that the last page is shorter.
const PAGE_SIZE: i32 = 7;
const PAGES: usize = BURST.div_ceil(PAGE_SIZE as usize);
const RUSH: usize = 300;

/// Orders do not wait for the store, and each order has one ticket.
pub(crate) async fn unattended_store(runner: &ScenarioRunner, cast: &Cast) -> Scene {
    runner
        .remark("A demo cannot stop the store and delivery contexts. It shows that orders do not wait for the store,");
    runner.remark("and that each order has one ticket.");
    let what = format!("{BURST} customers order at once at a store that does not react");
    let orders = runner.step(&what, burst(cast)).await?;
    runner.step("Each order has one ticket", each_ticket_once(cast, &orders)).await
}

async fn burst(cast: &Cast) -> StepResult<BTreeSet<String>> {
    let answers =
        at_once(cast, BURST, |cast| Order { store: cast.busy_store.clone(), ..cast.draft("tok_visa") }).await?;
    let mut orders = BTreeSet::new();
    for (draft, answer) in answers {
        let order = answer?;
        require_placed(&order, &draft)?;
        orders.insert(order.name);
    }
    ensure!(orders.len() == BURST, "expected {BURST} orders, got {}", orders.len());
    Ok((orders, format!("{BURST} orders are PLACED")))
}

/// The tickets of a store, page by page.
struct Tickets {
    tickets: Vec<Ticket>,
    pages: usize,
}

impl Describe for Tickets {
    fn describe(&self) -> String {
        format!("{} tickets on {} pages", self.tickets.len(), self.pages)
    }
}

async fn each_ticket_once(cast: &Cast, orders: &BTreeSet<String>) -> StepResult<()> {
    let expected = format!("{BURST} tickets at {}", cast.busy_store);
    let found = eventually(&expected, || tickets(cast), |found| found.tickets.len() >= BURST).await?;
    let names: BTreeSet<_> = found.tickets.iter().map(|ticket| ticket.name.clone()).collect();
    let wanted: BTreeSet<_> = orders.iter().map(|order| ticket_of(order)).collect();
    ensure!(found.tickets.len() == BURST && names == wanted, "expected each ticket once, got {:?}", found.tickets);
    let is_open = |ticket: &Ticket| ticket.state() == TicketState::Open && orders.contains(&ticket.order);
    ensure!(found.tickets.iter().all(is_open), "expected OPEN tickets, got {:?}", found.tickets);
    ensure!(found.pages == PAGES, "expected {PAGES} pages of {PAGE_SIZE}, got {}", found.pages);
    Ok(((), format!("{}, all OPEN, none twice", found.describe())))
}

async fn tickets(cast: &Cast) -> Answer<Tickets> {
    let filter = format!("store = \"{}\"", cast.busy_store);
    let mut found = Tickets { tickets: Vec::new(), pages: 0 };
    let mut page_token = String::new();
    loop {
        let request =
            ListTicketsRequest { page_size: PAGE_SIZE, page_token, filter: filter.clone(), ..Default::default() };
        let page = cast.clients.list_tickets(request).await?;
        found.tickets.extend(page.tickets);
        found.pages += 1;
        // A list that does not end is reported as too many tickets.
        if page.next_page_token.is_empty() || found.tickets.len() > 2 * BURST {
            return Ok(found);
        }
        page_token = page.next_page_token;
    }
}

/// Each order is placed or rejected with a retry delay, and each is settled in the end.
pub(crate) async fn overload(runner: &ScenarioRunner, cast: &Cast) -> Scene {
    let unsettled = runner.step(&format!("{RUSH} customers order at once, with tok_slow"), rush(cast)).await?;
    let what = format!("The {} orders without an outcome are settled", unsettled.len());
    runner.step(&what, all_settle(cast, unsettled)).await
}

/// Returns the orders that were stored but not placed before the response.
async fn rush(cast: &Cast) -> StepResult<Vec<String>> {
    let answers = at_once(cast, RUSH, |cast| cast.draft("tok_slow")).await?;
    let (mut placed, mut unsettled, mut refusals) = (0, Vec::new(), BTreeMap::<String, usize>::new());
    for (draft, answer) in answers {
        match answer {
            Ok(order) => {
                require_placed(&order, &draft)?;
                placed += 1;
            }
            Err(refusal) => {
                refusal.require_retry()?;
                unsettled.extend(refusal.metadata.get("order").cloned());
                *refusals.entry(refusal.title()).or_default() += 1;
            }
        }
    }
    let mut text = format!("{placed} are PLACED");
    for (title, count) in refusals {
        text += &format!(", {count} are asked to retry ({title})");
    }
    Ok((unsettled, text))
}

async fn all_settle(cast: &Cast, orders: Vec<String>) -> StepResult<()> {
    let mut settling = JoinSet::new();
    for order in orders {
        let cast = cast.clone();
        settling.spawn(async move { settles(&cast, &order).await });
    }
    let mut states = BTreeMap::<&str, usize>::new();
    while let Some(settled) = settling.join_next().await {
        *states.entry(settled??.as_str_name()).or_default() += 1;
    }
    let text: Vec<_> = states.iter().map(|(state, count)| format!("{count} are {state}")).collect();
    Ok(((), if text.is_empty() { "there were none".to_owned() } else { text.join(", ") }))
}

/// Waits until an order is either placed and paid, or rejected and not paid.
async fn settles(cast: &Cast, order: &str) -> anyhow::Result<OrderState> {
    let ask = || cast.clients.get_order(GetOrderRequest { name: order.to_owned() });
    let is_settled = |order: &Order| matches!(order.state(), OrderState::Placed | OrderState::Rejected);
    let settled = eventually(&format!("{order} to be PLACED or REJECTED"), ask, is_settled).await?;
    let payment = match cast.clients.get_payment(GetPaymentRequest { name: payment_of(order) }).await {
        Ok(payment) => payment.state(),
        Err(refusal) if refusal.code == Code::NotFound => PaymentState::Unspecified,
        Err(refusal) => bail!("{refusal}"),
    };
    let is_paid = matches!(payment, PaymentState::Authorized | PaymentState::Captured);
    let is_placed = settled.state() == OrderState::Placed;
    ensure!(is_paid == is_placed, "{}, but its payment is {}", settled.describe(), payment.as_str_name());
    Ok(settled.state())
}

/// Sends `count` orders at the same time and returns each order with its response.
async fn at_once(cast: &Cast, count: usize, draft: fn(&Cast) -> Order) -> anyhow::Result<Vec<(Order, Answer<Order>)>> {
    let mut customers = JoinSet::new();
    for _ in 0..count {
        let cast = cast.clone();
        customers.spawn(async move {
            let draft = draft(&cast);
            let answer = cast.order(&draft, &new_id()).await;
            (draft, answer)
        });
    }
    let mut answers = Vec::with_capacity(count);
    while let Some(answer) = customers.join_next().await {
        answers.push(answer?);
    }
    Ok(answers)
}
