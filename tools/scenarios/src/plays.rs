//! The plays of the demos: their scenes, one after another.

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
    runner.scene("The store rejects an order", food_withdrawal::by_store(runner, &cast)).await;
    runner.scene("Mina cancels before cooking starts", food_withdrawal::by_customer(runner, &cast)).await;
    runner
        .scene("Many orders at once at a store that does not react", food_load::unattended_store(runner, &cast))
        .await;
    runner.scene("More orders at once than payment can serve", food_load::overload(runner, &cast)).await;
    Ok(())
}

pub(crate) async fn education(runner: &ScenarioRunner, addresses: &Addresses<'_>) -> anyhow::Result<()> {
    let cast = education::Cast::connect(addresses).await?;
    runner.scene("Hana enrolls, and pays at once", education_fees::paying(runner, &cast)).await;
    runner.scene("The outcome of the payment is unknown", education_fees::unconfirmed(runner, &cast)).await;
    runner
        .scene("The school registers her, and she completes the course", education_course::completed(runner, &cast))
        .await;
    runner.scene("She cancels another enrollment", education_course::cancelled(runner, &cast)).await;
    runner.scene("The school cancels a course", education_course::by_school(runner, &cast)).await;
    runner.scene("Many learners enroll at once", education_course::rush(runner, &cast)).await;
    runner.scene("Hana's own page", education_course::own_page(runner, &cast)).await;
    Ok(())
}

pub(crate) async fn cleaning_service(runner: &ScenarioRunner, addresses: &Addresses<'_>) -> anyhow::Result<()> {
    let cast = cleaning_service::Cast::connect(addresses).await?;
    runner
        .scene(
            "Mina registers, and receives a welcome before the response",
            cleaning_service::registering(runner, &cast),
        )
        .await;
    runner
        .scene(
            "A customer who cannot receive the welcome is not registered",
            cleaning_service::unreached(runner, &cast),
        )
        .await;
    runner.scene("More registrations at once than Kakao can serve", cleaning_service::rush(runner, &cast)).await;
    runner
        .scene("Bora cancels her registration, and is notified afterwards", cleaning_service::leaving(runner, &cast))
        .await;
    runner
        .scene(
            "Customers who asked for it are notified about their orders",
            cleaning_orders::play(runner, addresses, &cast),
        )
        .await;
    Ok(())
}

pub(crate) async fn coffee_shop(runner: &ScenarioRunner, addresses: &Addresses<'_>) -> anyhow::Result<()> {
    let shop = coffee_shop::Shop::connect(addresses).await?;
    runner.scene("Mina orders coffee, and the kitchen makes it", coffee_course::play(runner, &shop)).await;
    runner.scene("The stock is too low, or the product is unknown", coffee_stock::not_enough(runner, &shop)).await;
    runner
        .scene("Sora restocks, and waiting orders are produced, oldest first", coffee_stock::restock(runner, &shop))
        .await;
    runner.scene("More concurrent orders than there is stock", coffee_stock::race(runner, &shop)).await;
    runner.scene("The machine breaks during production", coffee_course::failing(runner, &shop)).await;
    Ok(())
}
