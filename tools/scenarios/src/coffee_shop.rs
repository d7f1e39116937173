//! coffee-shop: Mina orders at the counter, the kitchen takes what it needs from the stock, Sora manages the stock.

use anyhow::ensure;
use contracts::{
    kitchen::v1::{CompleteProductionRequest, Production, production::State as ProductionState},
    order::v1::{
        CancelOrderRequest, CreateOrderRequest, Order,
        order::{Fulfillment, State as OrderState},
    },
    payment::v1::{Payment, payment::State as PaymentState},
    warehouse::v1::{CreateStockItemRequest, GetStockItemRequest, RestockRequest, StockItem},
};

use crate::{
    addresses::Addresses,
    clients::Clients,
    describe::{Describe, checked, described, eventually, new_id, production_of},
    food_delivery::item,
    runner::StepResult,
};

const CONTEXTS: [&str; 5] = ["order", "payment", "kitchen", "warehouse", "dashboard"];
const PRICE: i64 = 4_500;

/// The participants of one run. Their IDs and products are new in each run, so that runs do not affect each other.
#[derive(Clone)]
pub(crate) struct Shop {
    pub(crate) clients: Clients,
    customer: String,
    store: String,
    run: String,
}

impl Shop {
    pub(crate) async fn connect(addresses: &Addresses<'_>) -> anyhow::Result<Self> {
        let run = new_id().split_off(24);
        Ok(Self {
            clients: Clients::connect(addresses, &CONTEXTS).await?,
            customer: format!("customers/mina-{run}"),
            store: format!("stores/gangnam-{run}"),
            run,
        })
    }

    /// A product of this run, e.g. `items/americano-…`.
    pub(crate) fn product(&self, name: &str) -> String {
        format!("items/{name}-{}", self.run)
    }

    /// Sora adds a product with its stock.
    pub(crate) async fn stock_up(&self, product: &str, quantity: i64) -> StepResult<StockItem> {
        let stock_item = Some(StockItem { item: product.to_owned(), quantity, ..StockItem::default() });
        described(self.clients.create_stock_item(CreateStockItemRequest { stock_item, request_id: new_id() }).await?)
    }

    /// Sora adds to the stock.
    pub(crate) async fn restock(&self, product: &str, quantity: i64) -> StepResult<StockItem> {
        described(
            self.clients.restock(RestockRequest { name: stock_of(product), quantity, request_id: new_id() }).await?,
        )
    }

    /// The stock has exactly this quantity.
    pub(crate) async fn stock_is(&self, product: &str, quantity: i64) -> StepResult<StockItem> {
        let item = self.clients.get_stock_item(GetStockItemRequest { name: stock_of(product) }).await?;
        checked(item, &format!("{quantity} of {product}"), |item| item.quantity == quantity)
    }

    /// Waits until the stock has this quantity.
    pub(crate) async fn stock_becomes(&self, product: &str, quantity: i64) -> StepResult<StockItem> {
        let ask = || self.clients.get_stock_item(GetStockItemRequest { name: stock_of(product) });
        described(eventually(&format!("{quantity} of {product}"), ask, |item| item.quantity == quantity).await?)
    }

    /// Mina orders at the counter with a valid card; fails unless the order is placed.
    pub(crate) async fn order(&self, product: &str, quantity: i32) -> StepResult<Order> {
        let order = Order {
            customer: self.customer.clone(),
            store: self.store.clone(),
            items: vec![item(product, quantity, PRICE)],
            fulfillment: Fulfillment::Counter.into(),
            payment_method: "tok_visa".to_owned(),
            ..Order::default()
        };
        let order = self.clients.create_order(CreateOrderRequest { order: Some(order), request_id: new_id() }).await?;
        ensure!(order.state() == OrderState::Placed, "expected a PLACED order, got {}", order.describe());
        let text = format!("{}, paid by {}", order.describe(), order.payment);
        Ok((order, text))
    }

    /// Mina cancels.
    pub(crate) async fn cancel(&self, order: &Order) -> StepResult<Order> {
        let request = CancelOrderRequest { name: order.name.clone(), request_id: new_id() };
        let order = self.clients.cancel_order(request).await?;
        checked(order, "CANCELLED", |order| order.state() == OrderState::Cancelled)
    }

    /// The kitchen completes the production.
    pub(crate) async fn complete(&self, order: &Order) -> StepResult<Production> {
        let request = CompleteProductionRequest { name: production_of(&order.name), request_id: new_id() };
        let production = self.clients.complete_production(request).await?;
        checked(production, "COMPLETED", |production| production.state() == ProductionState::Completed)
    }

    pub(crate) async fn order_is(&self, order: &Order, state: OrderState) -> StepResult<Order> {
        described(self.clients.order_becomes(&order.name, state).await?)
    }

    pub(crate) async fn production_is(&self, order: &Order, state: ProductionState) -> StepResult<Production> {
        described(self.clients.production_becomes(&order.name, state).await?)
    }

    pub(crate) async fn payment_is(&self, order: &Order, state: PaymentState) -> StepResult<Payment> {
        let payment = self.clients.payment_becomes(&order.name, state).await?;
        checked(payment, "the order's total", |payment| payment.amount == order.total)
    }
}

fn stock_of(product: &str) -> String {
    product.replace("items/", "stockItems/")
}
