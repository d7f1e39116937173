//! Steps of the counter journeys: Mina orders coffee, the kitchen makes it, Sora manages the stock.

use std::collections::HashMap;

use contracts::{
    kitchen::v1::{
        CompleteProductionRequest, FailProductionRequest, GetProductionRequest, Production,
        kitchen_service_client::KitchenServiceClient,
    },
    order::v1::{
        Order,
        order::{Fulfillment, State},
    },
    warehouse::v1::{
        CreateStockItemRequest, GetStockItemRequest, ReduceStockRequest, ReleaseStockRequest, RestockRequest,
        StockItem, warehouse_service_client::WarehouseServiceClient,
    },
};
use jumun_core::name::new_id;
use rpc::GrpcStack;
use tonic::Status;

use super::food::{Food, inner, item, won};

/// The steps of food-delivery, and those at the counter.
pub(crate) struct Coffee {
    pub(crate) food: Food,
}

impl Coffee {
    /// Opens the shop, with this much of each product.
    pub(crate) async fn open(stock: &[(&str, i64)]) -> Self {
        let coffee = Self { food: Food::open().await };
        for (item, quantity) in stock {
            coffee.stock_up(item, *quantity).await.expect("a new product");
        }
        coffee.food.cluster.settle().await;
        coffee
    }

    /// Settles, and asserts that nothing is left pending and that stock and payments match.
    pub(super) async fn close(self) {
        self.assert_that_the_stock_agrees().await;
        self.food.close().await;
    }

    /// Mina orders at the counter, and pays.
    pub(crate) async fn order(&self, lines: &[(&str, i32)]) -> Order {
        let items = lines.iter().map(|(product, quantity)| item(product, *quantity, won(4_500))).collect();
        let wish = Order { items, fulfillment: Fulfillment::Counter.into(), ..super::food::wish("tok_visa") };
        let order = self.food.order(&new_id(), &wish).await.expect("a good card");
        self.food.cluster.settle().await;
        order
    }

    /// An order that is in this state once all events are applied.
    pub(super) async fn order_that_is(&self, lines: &[(&str, i32)], state: State) -> String {
        let order = self.order(lines).await.name;
        assert_eq!(self.food.get(&order).await.state(), state);
        order
    }

    pub(super) fn kitchen(&self) -> KitchenServiceClient<GrpcStack> {
        KitchenServiceClient::new(self.food.cluster.channel())
    }

    pub(super) async fn production(&self, order: &str) -> Result<Production, Status> {
        self.food.cluster.settle().await;
        inner(self.kitchen().get_production(GetProductionRequest { name: production_name(order) }).await)
    }

    pub(super) async fn complete(&self, order: &str) -> Result<Production, Status> {
        let request = CompleteProductionRequest { name: production_name(order), request_id: String::new() };
        let answer = inner(self.kitchen().complete_production(request).await);
        self.food.cluster.settle().await;
        answer
    }

    pub(super) async fn fail(&self, order: &str) -> Result<Production, Status> {
        let request = FailProductionRequest { name: production_name(order), request_id: String::new() };
        let answer = inner(self.kitchen().fail_production(request).await);
        self.food.cluster.settle().await;
        answer
    }

    pub(super) fn warehouse(&self) -> WarehouseServiceClient<GrpcStack> {
        WarehouseServiceClient::new(self.food.cluster.channel())
    }

    pub(super) async fn stock_up(&self, item: &str, quantity: i64) -> Result<StockItem, Status> {
        let stock_item = Some(StockItem { item: item.to_owned(), quantity, ..StockItem::default() });
        inner(self.warehouse().create_stock_item(CreateStockItemRequest { stock_item, request_id: new_id() }).await)
    }

    pub(super) async fn restock(&self, item: &str, quantity: i64) -> Result<StockItem, Status> {
        let request = RestockRequest { name: stock_name(item), quantity, request_id: new_id() };
        let answer = inner(self.warehouse().restock(request).await);
        self.food.cluster.settle().await;
        answer
    }

    pub(super) async fn stock(&self, item: &str) -> i64 {
        let request = GetStockItemRequest { name: stock_name(item) };
        inner(self.warehouse().get_stock_item(request).await).expect("a product").quantity
    }

    pub(super) async fn reduce(&self, item: &str, production: &str, quantity: i64) -> Result<StockItem, Status> {
        let (name, production) = (stock_name(item), production.to_owned());
        let request = ReduceStockRequest { name, production, quantity, request_id: String::new() };
        inner(self.warehouse().reduce_stock(request).await)
    }

    pub(super) async fn release(&self, item: &str, production: &str, quantity: i64) -> Result<StockItem, Status> {
        let (name, production) = (stock_name(item), production.to_owned());
        let request = ReleaseStockRequest { name, production, quantity, request_id: String::new() };
        inner(self.warehouse().release_stock(request).await)
    }

    /// The history of an order, as its customer sees it.
    pub(super) async fn history(&self, order: &str) -> Vec<String> {
        self.food.view(order).await.history.into_iter().map(|entry| entry.state).collect()
    }

    /// Rule S6: every started production has its stock, and no other production keeps any.
    async fn assert_that_the_stock_agrees(&self) {
        self.food.cluster.settle().await;
        let owing: HashMap<String, String> = self.owing().await;
        assert!(owing.is_empty(), "stock is owed by {owing:?}");
    }

    async fn owing(&self) -> HashMap<String, String> {
        let database = self.food.cluster.database("kitchen", "kitchen");
        let read = database.read(|connection| {
            let rows = connection.query("SELECT id, state FROM productions WHERE owes = 1 OR state = 'TAKING'", &[])?;
            rows.into_iter().map(|mut row| Ok((row.text()?, row.text()?))).collect()
        });
        read.await.expect("a readable table")
    }
}

pub(super) fn production_name(order: &str) -> String {
    order.replace("orders/", "productions/")
}

pub(super) fn stock_name(item: &str) -> String {
    item.replace("items/", "stockItems/")
}
