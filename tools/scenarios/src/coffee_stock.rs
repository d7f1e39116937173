//! Orders for products that are out of stock: they wait, are cancelled, or compete for the stock.

use anyhow::ensure;
use contracts::{
    kitchen::v1::production::State as ProductionState,
    order::v1::{GetOrderRequest, Order, order::State as OrderState},
    payment::v1::payment::State as PaymentState,
};
use futures::{StreamExt, TryStreamExt, stream};

use crate::{
    coffee_course::{WAITED, view_shows},
    coffee_shop::Shop,
    describe::eventually,
    runner::{ScenarioRunner, Scene, StepResult},
};

/// Number of concurrent orders, more than there is stock.
const CONCURRENT: usize = 30;
const IN_STOCK: i64 = 20;

pub(crate) async fn not_enough(runner: &ScenarioRunner, shop: &Shop) -> Scene {
    let latte = &shop.product("latte");
    runner.step("Sora adds lattes, with a stock of 3", shop.stock_up(latte, 3)).await?;
    let order = runner.step("Mina orders 4 of them", shop.order(latte, 4)).await?;
    let waits = shop.production_is(&order, ProductionState::OutOfStock);
    runner.step("Production does not start", waits).await?;
    runner.step("Mina's order is out of stock", shop.order_is(&order, OrderState::OutOfStock)).await?;
    runner.step("The stock is unchanged", shop.stock_is(latte, 3)).await?;
    let small = runner.step("She orders 3 as well", shop.order(latte, 3)).await?;
    runner.step("They are in stock, and are produced", shop.order_is(&small, OrderState::Producing)).await?;
    runner.step("She cancels the first order", shop.cancel(&order)).await?;
    let cancelled = shop.production_is(&order, ProductionState::Cancelled);
    runner.step("The production is cancelled", cancelled).await?;
    runner.step("The payment is refunded", shop.payment_is(&order, PaymentState::Refunded)).await?;
    let unknown = runner.step("She orders an unknown product", shop.order(&shop.product("unicorn"), 1)).await?;
    runner.step("It is out of stock, too", shop.order_is(&unknown, OrderState::OutOfStock)).await?;
    runner.step("She cancels it", shop.cancel(&unknown)).await?;
    runner.step("The payment is refunded", shop.payment_is(&unknown, PaymentState::Refunded)).await?;
    Ok(())
}

pub(crate) async fn restock(runner: &ScenarioRunner, shop: &Shop) -> Scene {
    let flat_white = &shop.product("flat-white");
    runner.step("Sora adds flat whites, with a stock of 0", shop.stock_up(flat_white, 0)).await?;
    let first = runner.step("Mina orders 2 of them", shop.order(flat_white, 2)).await?;
    runner.step("They are out of stock", shop.order_is(&first, OrderState::OutOfStock)).await?;
    let second = runner.step("She orders 2 more", shop.order(flat_white, 2)).await?;
    runner.step("They are out of stock", shop.order_is(&second, OrderState::OutOfStock)).await?;
    runner.step("Sora restocks 3", shop.restock(flat_white, 3)).await?;
    runner.step("The older order is produced", shop.order_is(&first, OrderState::Producing)).await?;
    runner.step("The stock is 1", shop.stock_is(flat_white, 1)).await?;
    runner.step("The newer order still waits", shop.order_is(&second, OrderState::OutOfStock)).await?;
    runner.step("Sora restocks 1", shop.restock(flat_white, 1)).await?;
    runner.step("The newer order is produced", shop.order_is(&second, OrderState::Producing)).await?;
    runner.step("It is completed", shop.complete(&second)).await?;
    runner.step("The dashboard shows every step", view_shows(shop, &second, &WAITED)).await?;
    Ok(())
}

pub(crate) async fn race(runner: &ScenarioRunner, shop: &Shop) -> Scene {
    let espresso = &shop.product("espresso");
    runner.step(&format!("Sora adds espressos, with a stock of {IN_STOCK}"), shop.stock_up(espresso, IN_STOCK)).await?;
    let orders =
        runner.step(&format!("{CONCURRENT} customers order one each, at once"), order_many(shop, espresso)).await?;
    runner.step("As many are produced as there is stock, and the others wait", made(shop, &orders)).await?;
    runner.step("The stock is 0", shop.stock_is(espresso, 0)).await?;
    let rest = i64::try_from(CONCURRENT).unwrap_or_default() - IN_STOCK;
    runner.step(&format!("Sora restocks {rest}"), shop.restock(espresso, rest)).await?;
    for order in &orders {
        // One step for each order would be too much output.
        if let Err(error) = shop.order_is(order, OrderState::Producing).await {
            runner.step::<()>("Every order is produced", async { Err(error) }).await?;
        }
    }
    runner.step("Every order is produced, and the stock is 0", shop.stock_is(espresso, 0)).await?;
    Ok(())
}

async fn order_many(shop: &Shop, product: &str) -> StepResult<Vec<Order>> {
    let ordering = (0..CONCURRENT).map(|_| shop.order(product, 1));
    let orders = stream::iter(ordering).buffer_unordered(CONCURRENT).map_ok(|(order, _)| order).try_collect::<Vec<_>>();
    let orders = orders.await?;
    let text = format!("{} orders are placed", orders.len());
    Ok((orders, text))
}

/// Waits until every order is decided; fails unless the kitchen produced as many as there is stock.
async fn made(shop: &Shop, orders: &[Order]) -> StepResult<()> {
    let (mut made, mut waiting) = (0, 0);
    for order in orders {
        let ask = || shop.clients.get_order(GetOrderRequest { name: order.name.clone() });
        let decided = eventually("a decision of the kitchen", ask, |order| order.state() != OrderState::Placed).await?;
        match decided.state() {
            OrderState::Producing => made += 1,
            OrderState::OutOfStock => waiting += 1,
            state => anyhow::bail!("{} is {}", order.name, state.as_str_name()),
        }
    }
    ensure!(made == IN_STOCK, "expected {IN_STOCK} to be produced, got {made}, and {waiting} waiting");
    Ok(((), format!("{made} are produced, {waiting} wait")))
}
