//! An order for the counter: completed, or failed in the kitchen.

use anyhow::bail;
use contracts::{
    dashboard::v1::OrderView,
    kitchen::v1::{FailProductionRequest, Production, production::State as ProductionState},
    order::v1::{CancelOrderRequest, Order, order::State as OrderState},
    payment::v1::payment::State as PaymentState,
};
use tonic::Code;

use crate::{
    coffee_shop::Shop,
    describe::{Describe, checked, described, new_id, production_of},
    runner::{ScenarioRunner, Scene, StepResult},
};

/// The history of an order that had to wait for stock.
pub(crate) const WAITED: [&str; 6] = [
    "ORDER_PLACED",
    "PRODUCTION_OPENED",
    "OUT_OF_STOCK",
    "PRODUCTION_STARTED",
    "PRODUCTION_COMPLETED",
    "ORDER_COMPLETED",
];

pub(crate) async fn play(runner: &ScenarioRunner, shop: &Shop) -> Scene {
    let americano = &shop.product("americano");
    runner.step("Sora adds americanos, with a stock of 5", shop.stock_up(americano, 5)).await?;
    let order = runner.step("Mina orders 2 of them, and pays", shop.order(americano, 2)).await?;
    let started = shop.production_is(&order, ProductionState::Started);
    runner.step("The kitchen takes the stock, and starts", started).await?;
    runner.step("The stock is reduced by 2", shop.stock_is(americano, 3)).await?;
    runner.step("Mina looks at the order", shop.order_is(&order, OrderState::Producing)).await?;
    runner.step("She tries to cancel, too late", cancel_too_late(shop, &order)).await?;
    runner.step("The coffee is made", shop.complete(&order)).await?;
    runner.step("Mina has her coffee", shop.order_is(&order, OrderState::Completed)).await?;
    runner.step("The payment is captured", shop.payment_is(&order, PaymentState::Captured)).await?;
    let course = ["ORDER_PLACED", "PRODUCTION_OPENED", "PRODUCTION_STARTED", "PRODUCTION_COMPLETED", "ORDER_COMPLETED"];
    runner.step("The dashboard shows every step", view_shows(shop, &order, &course)).await?;
    Ok(())
}

/// A production that fails after it started.
pub(crate) async fn failing(runner: &ScenarioRunner, shop: &Shop) -> Scene {
    let mocha = &shop.product("mocha");
    runner.step("Sora adds mochas, with a stock of 4", shop.stock_up(mocha, 4)).await?;
    let order = runner.step("Mina orders 3 of them", shop.order(mocha, 3)).await?;
    runner.step("The kitchen starts", shop.production_is(&order, ProductionState::Started)).await?;
    runner.step("The production fails", fail(shop, &order)).await?;
    runner.step("Mina's order is cancelled", shop.order_is(&order, OrderState::Cancelled)).await?;
    runner.step("The payment is refunded", shop.payment_is(&order, PaymentState::Refunded)).await?;
    runner.step("The stock is returned", shop.stock_becomes(mocha, 4)).await?;
    Ok(())
}

async fn fail(shop: &Shop, order: &Order) -> StepResult<Production> {
    let request = FailProductionRequest { name: production_of(&order.name), request_id: new_id() };
    let production = shop.clients.fail_production(request).await?;
    checked(production, "FAILED", |production| production.state() == ProductionState::Failed)
}

async fn cancel_too_late(shop: &Shop, order: &Order) -> StepResult<()> {
    let request = CancelOrderRequest { name: order.name.clone(), request_id: new_id() };
    match shop.clients.cancel_order(request).await {
        Ok(order) => bail!("expected a refusal, got {}", order.describe()),
        Err(refusal) => {
            refusal.require(Code::FailedPrecondition, "ORDER_NOT_CANCELLABLE")?;
            Ok(((), refusal.to_string()))
        }
    }
}

/// Waits until the dashboard shows the order as completed, with these steps in this order.
pub(crate) async fn view_shows(shop: &Shop, order: &Order, course: &[&str]) -> StepResult<OrderView> {
    let expected = format!("COMPLETED by {}", course.join(", "));
    let holds = |view: &OrderView| {
        let mut history = view.history.iter();
        view.state == "COMPLETED" && course.iter().all(|step| history.any(|entry| entry.state == *step))
    };
    described(shop.clients.view_becomes(&order.name, &expected, holds).await?)
}
