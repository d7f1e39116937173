//! Orders that are withdrawn after they were paid: the money goes back, and the work stops.

use contracts::{
    delivery::v1::{Delivery, delivery::State as DeliveryState},
    order::v1::{CancelOrderRequest, Order, order::State as OrderState},
    payment::v1::{Payment, payment::State as PaymentState},
    store::v1::{RejectTicketRequest, Ticket, ticket::State as TicketState},
};

use crate::{
    describe::{new_id, seen, ticket_of, told},
    food_delivery::Cast,
    runner::{ScenarioRunner, Scene, StepResult},
};

/// The store turns the ticket down.
pub(crate) async fn by_store(runner: &ScenarioRunner, cast: &Cast) -> Scene {
    let order = runner.step("Mina orders", cast.place()).await?;
    runner.step("The ticket appears at the store", cast.open_ticket(&order)).await?;
    runner.step("The store is out of rice and rejects it", reject_ticket(cast, &order)).await?;
    runner.step("Mina's order is cancelled", cancelled(cast, &order, "STORE_REJECTED")).await?;
    runner.step("She has her money back", refunded(cast, &order)).await?;
    Ok(())
}

/// The customer cancels an order that the store accepted, and a rider waits for.
pub(crate) async fn by_customer(runner: &ScenarioRunner, cast: &Cast) -> Scene {
    let order = runner.step("Mina orders", cast.place()).await?;
    runner.step("The ticket appears at the store", cast.open_ticket(&order)).await?;
    runner.step("The store accepts it", cast.accept_ticket(&order)).await?;
    let scheduled = async { told(cast.clients.delivery_is(&order.name, DeliveryState::Scheduled).await?) };
    runner.step("A delivery waits for a rider", scheduled).await?;
    runner.step("Mina cancels", cancel(cast, &order)).await?;
    runner.step("The order stays cancelled", cancelled(cast, &order, "CANCELLED_BY_CUSTOMER")).await?;
    runner.step("She has her money back", refunded(cast, &order)).await?;
    runner.step("The store need not cook", ticket_cancelled(cast, &order)).await?;
    runner.step("No rider need come", delivery_cancelled(cast, &order)).await?;
    let view =
        async { told(cast.clients.view_becomes(&order.name, "CANCELLED", |view| view.state == "CANCELLED").await?) };
    runner.step("The dashboard shows it", view).await?;
    Ok(())
}

async fn reject_ticket(cast: &Cast, order: &Order) -> StepResult<Ticket> {
    let request = RejectTicketRequest { name: ticket_of(&order.name), request_id: new_id() };
    let ticket = cast.clients.reject_ticket(request).await?;
    seen(ticket, "REJECTED", |ticket| ticket.state() == TicketState::Rejected)
}

async fn cancel(cast: &Cast, order: &Order) -> StepResult<Order> {
    let request = CancelOrderRequest { name: order.name.clone(), request_id: new_id() };
    let order = cast.clients.cancel_order(request).await?;
    seen(order, "CANCELLED", |order| order.state() == OrderState::Cancelled)
}

async fn cancelled(cast: &Cast, order: &Order, reason: &str) -> StepResult<Order> {
    let order = cast.clients.order_becomes(&order.name, OrderState::Cancelled).await?;
    seen(order, reason, |order| order.state_reason == reason)
}

async fn refunded(cast: &Cast, order: &Order) -> StepResult<Payment> {
    let payment = cast.clients.payment_becomes(&order.name, PaymentState::Refunded).await?;
    seen(payment, "the order's total", |payment| payment.amount == order.total)
}

async fn ticket_cancelled(cast: &Cast, order: &Order) -> StepResult<Ticket> {
    told(cast.clients.ticket_becomes(&order.name, TicketState::Cancelled).await?)
}

async fn delivery_cancelled(cast: &Cast, order: &Order) -> StepResult<Delivery> {
    told(cast.clients.delivery_is(&order.name, DeliveryState::Cancelled).await?)
}
