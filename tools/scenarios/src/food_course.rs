//! An order from placing to delivery, and how it is shown.

use anyhow::{bail, ensure};
use contracts::{
    dashboard::v1::OrderView,
    delivery::v1::{
        CompleteDeliveryRequest, Delivery, PickUpDeliveryRequest, StartDeliveryRequest,
        delivery::State as DeliveryState,
    },
    order::v1::{CancelOrderRequest, Order, order::State as OrderState},
    payment::v1::payment::State as PaymentState,
    store::v1::{FinishCookingRequest, Ticket, ticket::State as TicketState},
};
use tonic::Code;

use crate::{
    describe::{Describe, checked, delivery_of, described, new_id, ticket_of},
    food_delivery::Cast,
    runner::{ScenarioRunner, Scene, StepResult},
    watching::{self, Watching},
};

/// The history of a completed order.
const HISTORY: [&str; 7] = [
    "ORDER_PLACED",
    "PAYMENT_CAPTURED",
    "TICKET_ACCEPTED",
    "COOKING_STARTED",
    "COOKING_FINISHED",
    "DELIVERY_PICKED_UP",
    "ORDER_COMPLETED",
];

pub(crate) async fn play(runner: &ScenarioRunner, cast: &Cast) -> Scene {
    let order = runner.step("Mina orders", cast.place()).await?;
    let page = runner.step("She keeps the order's page open", open_page(cast, &order)).await?;
    cook(runner, cast, &order).await?;
    deliver(runner, cast, &order).await?;
    runner.step("Mina looks at the order", order_is(cast, &order, OrderState::Completed)).await?;
    runner.step("The page showed each state, and ended", close_page(page)).await?;
    runner.step("The payment is captured", captured(cast, &order)).await?;
    runner.step("The dashboard shows the whole history", whole_course(cast, &order)).await?;
    Ok(())
}

/// From the ticket to the start of cooking, when it is too late to cancel.
async fn cook(runner: &ScenarioRunner, cast: &Cast, order: &Order) -> Scene {
    runner.step("The ticket appears at the store", cast.open_ticket(order)).await?;
    runner.step("The store accepts it", cast.accept_ticket(order)).await?;
    runner.step("Mina looks at the order", order_is(cast, order, OrderState::Accepted)).await?;
    runner.step("A delivery waits for a rider", scheduled(cast, order)).await?;
    runner.step("Joon starts the delivery", start_delivery(cast, order)).await?;
    runner.step("The store starts cooking", cast.start_cooking(order)).await?;
    runner.step("Mina looks at the order", order_is(cast, order, OrderState::Cooking)).await?;
    runner.step("She tries to cancel, too late", cancel_too_late(cast, order)).await?;
    runner.step("Joon tries to pick it up, too early", pick_up_too_early(cast, order)).await
}

async fn deliver(runner: &ScenarioRunner, cast: &Cast, order: &Order) -> Scene {
    runner.step("The store finishes cooking", finish_cooking(cast, order)).await?;
    runner.step("Mina looks at the order", order_is(cast, order, OrderState::Ready)).await?;
    runner.step("The delivery shows that it is ready", ready(cast, order)).await?;
    runner.step("He picks it up", pick_up(cast, order)).await?;
    runner.step("Mina looks at the order", order_is(cast, order, OrderState::PickedUp)).await?;
    runner.step("Joon delivers it", complete(cast, order)).await?;
    Ok(())
}

async fn open_page(cast: &Cast, order: &Order) -> StepResult<Watching> {
    let (page, first) = Watching::open(&cast.clients, &order.name).await?;
    ensure!(first == OrderState::Placed, "expected PLACED first, got {}", first.as_str_name());
    Ok((page, format!("it shows {}", first.as_str_name())))
}

async fn close_page(page: Watching) -> StepResult<()> {
    let states = page.close(OrderState::Completed).await?;
    Ok(((), watching::show(&states)))
}

async fn order_is(cast: &Cast, order: &Order, state: OrderState) -> StepResult<Order> {
    described(cast.clients.order_becomes(&order.name, state).await?)
}

async fn scheduled(cast: &Cast, order: &Order) -> StepResult<Delivery> {
    let delivery = cast.clients.delivery_is(&order.name, DeliveryState::Scheduled).await?;
    let holds = |delivery: &Delivery| delivery.order == order.name && delivery.store == order.store;
    checked(delivery, &format!("the delivery of {} from {}", order.name, order.store), holds)
}

async fn start_delivery(cast: &Cast, order: &Order) -> StepResult<Delivery> {
    let (name, rider) = (delivery_of(&order.name), cast.rider.to_owned());
    let request = StartDeliveryRequest { name, rider, request_id: new_id() };
    let delivery = cast.clients.start_delivery(request).await?;
    let holds = |delivery: &Delivery| delivery.state() == DeliveryState::Started && delivery.rider == cast.rider;
    checked(delivery, &format!("STARTED by {}", cast.rider), holds)
}

async fn cancel_too_late(cast: &Cast, order: &Order) -> StepResult<()> {
    let request = CancelOrderRequest { name: order.name.clone(), request_id: new_id() };
    match cast.clients.cancel_order(request).await {
        Ok(order) => bail!("expected a refusal, got {}", order.describe()),
        Err(refusal) => {
            refusal.require(Code::FailedPrecondition, "ORDER_NOT_CANCELLABLE")?;
            Ok(((), refusal.to_string()))
        }
    }
}

async fn pick_up_too_early(cast: &Cast, order: &Order) -> StepResult<()> {
    let request = PickUpDeliveryRequest { name: delivery_of(&order.name), request_id: new_id() };
    match cast.clients.pick_up_delivery(request).await {
        Ok(delivery) => bail!("expected a refusal, got {}", delivery.describe()),
        Err(refusal) => {
            refusal.require(Code::FailedPrecondition, "NOT_READY")?;
            Ok(((), refusal.to_string()))
        }
    }
}

async fn finish_cooking(cast: &Cast, order: &Order) -> StepResult<Ticket> {
    let request = FinishCookingRequest { name: ticket_of(&order.name), request_id: new_id() };
    let ticket = cast.clients.finish_cooking(request).await?;
    checked(ticket, "COOKED", |ticket| ticket.state() == TicketState::Cooked)
}

async fn ready(cast: &Cast, order: &Order) -> StepResult<Delivery> {
    described(cast.clients.delivery_becomes(&order.name, "ready", |delivery| delivery.ready).await?)
}

async fn pick_up(cast: &Cast, order: &Order) -> StepResult<Delivery> {
    let request = PickUpDeliveryRequest { name: delivery_of(&order.name), request_id: new_id() };
    let delivery = cast.clients.pick_up_delivery(request).await?;
    checked(delivery, "PICKED_UP", |delivery| delivery.state() == DeliveryState::PickedUp)
}

async fn complete(cast: &Cast, order: &Order) -> StepResult<Delivery> {
    let request = CompleteDeliveryRequest { name: delivery_of(&order.name), request_id: new_id() };
    let delivery = cast.clients.complete_delivery(request).await?;
    checked(delivery, "COMPLETED", |delivery| delivery.state() == DeliveryState::Completed)
}

async fn captured(cast: &Cast, order: &Order) -> StepResult<()> {
    let payment = cast.clients.payment_becomes(&order.name, PaymentState::Captured).await?;
    ensure!(payment.amount == order.total, "expected the order's total, got {}", payment.describe());
    Ok(((), payment.describe()))
}

async fn whole_course(cast: &Cast, order: &Order) -> StepResult<OrderView> {
    let expected = format!("COMPLETED with {}", HISTORY.join(", "));
    let holds = |view: &OrderView| {
        let has = |state: &&str| view.history.iter().any(|entry| entry.state == *state);
        view.state == "COMPLETED" && HISTORY.iter().all(has)
    };
    let view = cast.clients.view_becomes(&order.name, &expected, holds).await?;
    let times: Vec<_> = view.history.iter().map(|entry| entry.time.map(|time| (time.seconds, time.nanos))).collect();
    ensure!(
        times.iter().all(Option::is_some) && times.is_sorted(),
        "expected times in their order, got {:?}",
        view.history
    );
    ensure!(view.order == order.name && view.customer == order.customer, "expected Mina's order, got {view:?}");
    ensure!(view.total == order.total, "expected a total of {:?}, got {:?}", order.total, view.total);
    described(view)
}
