//! What the demos play: their scenes, one after another.

use crate::{
    addresses::Addresses, cleaning_orders, cleaning_service, clients::Clients, coffee_course, coffee_shop,
    coffee_stock, education, education_course, education_fees, food_cards, food_course, food_delivery, food_load,
    food_withdrawal, runner::ScenarioRunner,
};

pub(crate) async fn food_delivery(runner: &ScenarioRunner, addresses: &Addresses<'_>) -> anyhow::Result<()> {
    let cast = food_delivery::Cast::new(Clients::connect(addresses, &food_delivery::CONTEXTS).await?);
    runner.scene("Mina orders, and pays at once", food_cards::paying(runner, &cast)).await;
    runner.scene("Cards that are slow, fail, or answer too late", food_cards::odd_cards(runner, &cast)).await;
    runner.scene("The store cooks, Joon delivers, Mina watches", food_course::play(runner, &cast)).await;
    runner.scene("The store turns an order down", food_withdrawal::by_store(runner, &cast)).await;
    runner.scene("Mina cancels before cooking starts", food_withdrawal::by_customer(runner, &cast)).await;
    runner.scene("Nobody minds the store while orders rush in", food_load::unminded_store(runner, &cast)).await;
    runner.scene("More orders at once than payment can take", food_load::overload(runner, &cast)).await;
    Ok(())
}

pub(crate) async fn education(runner: &ScenarioRunner, addresses: &Addresses<'_>) -> anyhow::Result<()> {
    let cast = education::Cast::connect(addresses).await?;
    runner.scene("Hana enrolls, and pays at once", education_fees::paying(runner, &cast)).await;
    runner.scene("Payment does not say what became of the fee", education_fees::unconfirmed(runner, &cast)).await;
    runner
        .scene("The school registers her, and she completes the course", education_course::completed(runner, &cast))
        .await;
    runner.scene("She cancels another enrollment", education_course::cancelled(runner, &cast)).await;
    runner.scene("The school cancels a course", education_course::by_school(runner, &cast)).await;
    runner.scene("Nobody minds the school while learners rush in", education_course::rush(runner, &cast)).await;
    runner.scene("Her own page", education_course::own_page(runner, &cast)).await;
    Ok(())
}

pub(crate) async fn cleaning_service(runner: &ScenarioRunner, addresses: &Addresses<'_>) -> anyhow::Result<()> {
    let cast = cleaning_service::Cast::connect(addresses).await?;
    runner
        .scene("Mina registers, and is welcomed before the answer", cleaning_service::registering(runner, &cast))
        .await;
    runner.scene("Whom the welcome does not reach is not registered", cleaning_service::unreached(runner, &cast)).await;
    runner.scene("More people at once than can be welcomed", cleaning_service::rush(runner, &cast)).await;
    runner.scene("Mina leaves, and hears of it afterwards", cleaning_service::leaving(runner, &cast)).await;
    runner.scene("Orders tell who asked for it", cleaning_orders::play(runner, addresses, &cast)).await;
    Ok(())
}

pub(crate) async fn coffee_shop(runner: &ScenarioRunner, addresses: &Addresses<'_>) -> anyhow::Result<()> {
    let shop = coffee_shop::Shop::connect(addresses).await?;
    runner.scene("Mina orders coffee, and the kitchen makes it", coffee_course::play(runner, &shop)).await;
    runner.scene("There is not enough, or no such thing", coffee_stock::not_enough(runner, &shop)).await;
    runner
        .scene("Sora restocks, and those who wait are served, oldest first", coffee_stock::restock(runner, &shop))
        .await;
    runner.scene("More orders race for the coffee than there is", coffee_stock::race(runner, &shop)).await;
    runner.scene("The machine breaks while the coffee is made", coffee_course::failing(runner, &shop)).await;
    Ok(())
}
