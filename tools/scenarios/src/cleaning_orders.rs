//! Notifications of a customer about changes of its orders, if it asked for them when it registered.

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
    describe::{described, new_id},
    refusal::Answer,
    runner::{ScenarioRunner, Scene},
};

/// A customer who wants notifications about orders.
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
        runner.remark("Skipped: there is no order context, so no order can change.");
        return Ok(());
    };
    let customer = Sora { orders: OrderServiceClient::new(channel) };
    let customer_with_notices = Customer { notifies_order_changes: true, ..cast.person("sora") };
    runner
        .step("Sora registers, and asks for notifications about her orders", async {
            described(cast.register(&customer_with_notices, &new_id()).await?)
        })
        .await?;
    let place = async {
        let request = CreateOrderRequest { order: Some(draft(cast)), request_id: new_id() };
        described(customer.create_order(request).await?)
    };
    let order = runner.step("Sora orders", place).await?;
    runner.step("She is notified that it is placed", cast.receives("sora", 2, "Your order is placed")).await?;
    let cancel = async {
        let request = CancelOrderRequest { name: order.name.clone(), request_id: new_id() };
        described(customer.cancel_order(request).await?)
    };
    runner.step("Sora cancels the order", cancel).await?;
    runner
        .step("She is notified that it is cancelled", cast.receives("sora", 3, "Your order is cancelled"))
        .await
        .map(drop)
}

fn draft(cast: &Cast) -> Order {
    let unit_price = Some(Money { currency_code: "KRW".to_owned(), units: 9_500, nanos: 0 });
    Order {
        customer: cast.account("sora"),
        store: "stores/gangnam".to_owned(),
        items: vec![Item { item: "items/bibimbap".to_owned(), quantity: 1, unit_price }],
        payment_method: "tok_visa".to_owned(),
        ..Order::default()
    }
}
