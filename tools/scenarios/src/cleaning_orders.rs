//! Each change of an order can notify its customer, who asked for it when registering.

use client::AuthenticatedChannel;
use contracts::{
    Money,
    customer::v1::Customer,
    order::v1::{CancelOrderRequest, CreateOrderRequest, Order, order::Item, order_service_client::OrderServiceClient},
};

use crate::{
    addresses::Addresses,
    cleaning_service::Cast,
    clients::{calls, connect},
    describe::{new_id, told},
    refusal::Answer,
    runner::{ScenarioRunner, Scene},
};

/// Who orders, and wants to hear of it.
struct Sora {
    orders: OrderServiceClient<AuthenticatedChannel>,
}

impl Sora {
    calls! {
        orders.create_order(CreateOrderRequest) -> Order;
        orders.cancel_order(CancelOrderRequest) -> Order;
    }
}

pub(crate) async fn play(runner: &ScenarioRunner, addresses: &Addresses<'_>, cast: &Cast) -> Scene {
    let Ok(channel) = connect("order", addresses).await else {
        runner.remark("There is no order context here, so no order can change.");
        return Ok(());
    };
    let customer = Sora { orders: OrderServiceClient::new(channel) };
    let listening = Customer { notifies_order_changes: true, ..cast.person("sora") };
    runner
        .step("Sora registers, and wants to hear of her orders", async {
            told(cast.register(&listening, &new_id()).await?)
        })
        .await?;
    let place = async {
        let request = CreateOrderRequest { order: Some(wish(cast)), request_id: new_id() };
        told(customer.create_order(request).await?)
    };
    let order = runner.step("Sora orders", place).await?;
    runner.step("She is told that it is placed", cast.hears("sora", 2, "Your order is placed")).await?;
    let cancel = async {
        let request = CancelOrderRequest { name: order.name.clone(), request_id: new_id() };
        told(customer.cancel_order(request).await?)
    };
    runner.step("Sora cancels the order", cancel).await?;
    runner.step("She is told that it is cancelled", cast.hears("sora", 3, "Your order is cancelled")).await.map(drop)
}

fn wish(cast: &Cast) -> Order {
    let unit_price = Some(Money { currency_code: "KRW".to_owned(), units: 9_500, nanos: 0 });
    Order {
        customer: cast.account("sora"),
        store: "stores/gangnam".to_owned(),
        items: vec![Item { item: "items/bibimbap".to_owned(), quantity: 1, unit_price }],
        payment_method: "tok_visa".to_owned(),
        ..Order::default()
    }
}
