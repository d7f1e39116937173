//! Orders that are cancelled after they were paid: the payment is refunded, and the work stops.

use contracts::{
    delivery::v1::{Delivery, delivery::State as DeliveryState},
    order::v1::{CancelOrderRequest, Order, order::State as OrderState},
    payment::v1::{Payment, payment::State as PaymentState},
    store::v1::{RejectTicketRequest, Ticket, ticket::State as TicketState},
};

use crate::{
    describe::{checked, described, new_id, ticket_of},
    food_delivery::Cast,
    runner::{ScenarioRunner, Scene, StepResult},
};

/// The store rejects the ticket.
pub(crate) async fn by_store(runner: &ScenarioRunner, cast: &Cast) -> Scene {
    let order = runner.step("Mina orders", cast.place()).await?;
    runner.step("The ticket appears at the store", cast.open_ticket(&order)).await?;
    runner.step("The store is out of rice and rejects it", reject_ticket(cast, &order)).await?;
    runner.step("Mina's order is cancelled", cancelled(cast, &order, "STORE_REJECTED")).await?;
    runner.step("The payment is refunded", refunded(cast, &order)).await?;
    Ok(())
}

/// The customer cancels an order that the store accepted and whose delivery is scheduled.
pub(crate) async fn by_customer(runner: &ScenarioRunner, cast: &Cast) -> Scene {
    let order = runner.step("Mina orders", cast.place()).await?;
    runner.step("The ticket appears at the store", cast.open_ticket(&order)).await?;
    runner.step("The store accepts it", cast.accept_ticket(&order)).await?;
    let scheduled = async { described(cast.clients.delivery_is(&order.name, DeliveryState::Scheduled).await?) };
    runner.step("A delivery waits for a rider", scheduled).await?;
    runner.step("Mina cancels", cancel(cast, &order)).await?;
    runner.step("The order is cancelled", cancelled(cast, &order, "CANCELLED_BY_CUSTOMER")).await?;
    runner.step("The payment is refunded", refunded(cast, &order)).await?;
    runner.step("The ticket is cancelled", ticket_cancelled(cast, &order)).await?;
    runner.step("The delivery is cancelled", delivery_cancelled(cast, &order)).await?;
    let view = async {
        described(cast.clients.view_becomes(&order.name, "CANCELLED", |view| view.state == "CANCELLED").await?)
    };
    runner.step("The dashboard shows it", view).await?;
    Ok(())
}

async fn reject_ticket(cast: &Cast, order: &Order) -> StepResult<Ticket> {
    let request = RejectTicketRequest { name: ticket_of(&order.name), request_id: new_id() };
    let ticket = cast.clients.reject_ticket(request).await?;
    checked(ticket, "REJECTED", |ticket| ticket.state() == TicketState::Rejected)
}

async fn cancel(cast: &Cast, order: &Order) -> StepResult<Order> {
    let request = CancelOrderRequest { name: order.name.clone(), request_id: new_id() };
    let order = cast.clients.cancel_order(request).await?;
    checked(order, "CANCELLED", |order| order.state() == OrderState::Cancelled)
}

async fn cancelled(cast: &Cast, order: &Order, reason: &str) -> StepResult<Order> {
    let order = cast.clients.order_becomes(&order.name, OrderState::Cancelled).await?;
    checked(order, reason, |order| order.state_reason == reason)
}

async fn refunded(cast: &Cast, order: &Order) -> StepResult<Payment> {
    let payment = cast.clients.payment_becomes(&order.name, PaymentState::Refunded).await?;
    checked(payment, "the order's total", |payment| payment.amount == order.total)
}

async fn ticket_cancelled(cast: &Cast, order: &Order) -> StepResult<Ticket> {
    described(cast.clients.ticket_becomes(&order.name, TicketState::Cancelled).await?)
}

async fn delivery_cancelled(cast: &Cast, order: &Order) -> StepResult<Delivery> {
    described(cast.clients.delivery_is(&order.name, DeliveryState::Cancelled).await?)
}
