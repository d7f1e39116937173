//! Orders for what is not there: they wait, are withdrawn, or race for it.

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

/// Orders that race for as many coffees as there are.
const RACING: usize = 30;
const THERE: i64 = 20;

pub(crate) async fn not_enough(runner: &ScenarioRunner, shop: &Shop) -> Scene {
    let latte = &shop.product("latte");
    runner.step("Sora takes 3 lattes into the range", shop.stock_up(latte, 3)).await?;
    let order = runner.step("Mina orders 4 of them", shop.order(latte, 4)).await?;
    let waits = shop.production_is(&order, ProductionState::OutOfStock);
    runner.step("Production does not start", waits).await?;
    runner.step("Mina's order shows it", shop.order_is(&order, OrderState::OutOfStock)).await?;
    runner.step("Nothing was taken", shop.stock_is(latte, 3)).await?;
    let small = runner.step("She orders 3 as well", shop.order(latte, 3)).await?;
    runner.step("They are there, and are made", shop.order_is(&small, OrderState::Producing)).await?;
    runner.step("She cancels the first order", shop.cancel(&order)).await?;
    let cancelled = shop.production_is(&order, ProductionState::Cancelled);
    runner.step("The kitchen will not make it", cancelled).await?;
    runner.step("She has her money back", shop.payment_is(&order, PaymentState::Refunded)).await?;
    let unknown = runner.step("She orders what nobody knows", shop.order(&shop.product("unicorn"), 1)).await?;
    runner.step("It is out of stock, too", shop.order_is(&unknown, OrderState::OutOfStock)).await?;
    runner.step("She cancels that", shop.cancel(&unknown)).await?;
    runner.step("She has her money back", shop.payment_is(&unknown, PaymentState::Refunded)).await?;
    Ok(())
}

pub(crate) async fn restock(runner: &ScenarioRunner, shop: &Shop) -> Scene {
    let flat_white = &shop.product("flat-white");
    runner.step("Sora takes flat whites into the range, and has none", shop.stock_up(flat_white, 0)).await?;
    let first = runner.step("Mina orders 2 of them", shop.order(flat_white, 2)).await?;
    runner.step("They are out of stock", shop.order_is(&first, OrderState::OutOfStock)).await?;
    let second = runner.step("She orders 2 more", shop.order(flat_white, 2)).await?;
    runner.step("They are out of stock", shop.order_is(&second, OrderState::OutOfStock)).await?;
    runner.step("Sora restocks 3", shop.restock(flat_white, 3)).await?;
    runner.step("The older order is made", shop.order_is(&first, OrderState::Producing)).await?;
    runner.step("1 is left", shop.stock_is(flat_white, 1)).await?;
    runner.step("The younger one still waits", shop.order_is(&second, OrderState::OutOfStock)).await?;
    runner.step("Sora restocks 1", shop.restock(flat_white, 1)).await?;
    runner.step("The younger order is made", shop.order_is(&second, OrderState::Producing)).await?;
    runner.step("It is finished", shop.complete(&second)).await?;
    runner.step("Mina saw every step of it", view_shows(shop, &second, &WAITED)).await?;
    Ok(())
}

pub(crate) async fn race(runner: &ScenarioRunner, shop: &Shop) -> Scene {
    let espresso = &shop.product("espresso");
    runner.step(&format!("Sora takes {THERE} espressos into the range"), shop.stock_up(espresso, THERE)).await?;
    let orders = runner.step(&format!("{RACING} orders for one each come at once"), order_many(shop, espresso)).await?;
    runner.step("As many are made as there are espressos, and the others wait", made(shop, &orders)).await?;
    runner.step("There is nothing left, and never less", shop.stock_is(espresso, 0)).await?;
    let rest = i64::try_from(RACING).unwrap_or_default() - THERE;
    runner.step(&format!("Sora restocks {rest}"), shop.restock(espresso, rest)).await?;
    for order in &orders {
        // A step for each would tell nothing.
        if let Err(error) = shop.order_is(order, OrderState::Producing).await {
            runner.step::<()>("Everybody is served", async { Err(error) }).await?;
        }
    }
    runner.step("Everybody is served, and all of it is taken", shop.stock_is(espresso, 0)).await?;
    Ok(())
}

async fn order_many(shop: &Shop, product: &str) -> StepResult<Vec<Order>> {
    let ordering = (0..RACING).map(|_| shop.order(product, 1));
    let orders = stream::iter(ordering).buffer_unordered(RACING).map_ok(|(order, _)| order).try_collect::<Vec<_>>();
    let orders = orders.await?;
    let text = format!("{} orders are placed", orders.len());
    Ok((orders, text))
}

/// Waits until the kitchen has decided upon every order; fails unless it made as many as it could.
async fn made(shop: &Shop, orders: &[Order]) -> StepResult<()> {
    let (mut made, mut waiting) = (0, 0);
    for order in orders {
        let ask = || shop.clients.get_order(GetOrderRequest { name: order.name.clone() });
        let decided = eventually("the kitchen's word", ask, |order| order.state() != OrderState::Placed).await?;
        match decided.state() {
            OrderState::Producing => made += 1,
            OrderState::OutOfStock => waiting += 1,
            state => anyhow::bail!("{} is {}", order.name, state.as_str_name()),
        }
    }
    ensure!(made == THERE, "expected {THERE} to be made, got {made}, and {waiting} that wait");
    Ok(((), format!("{made} are made, {waiting} wait")))
}
