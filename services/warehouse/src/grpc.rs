//! What the warehouse context may be asked for.

use contracts::warehouse::v1::{
    CreateStockItemRequest, GetStockItemRequest, ListStockItemsRequest, ListStockItemsResponse, ReduceStockRequest,
    ReleaseStockRequest, RestockRequest, StockItem as StockItemResource, warehouse_service_server::WarehouseService,
};
use engine::{Aggregate, Engine, FilterField, PageRequest, RequestKey};
use jumun_core::{Error, declared, name::id_in};
use tonic::{Request, Response, Status};

use crate::domain::StockItem;

const FILTER: &[FilterField] = &[FilterField::name("item")];

/// What a production does at most once with an item of stock.
const TAKING: &str = "ReduceStock";

/// Serves `jumun.warehouse.v1.WarehouseService`.
pub(crate) struct WarehouseApi {
    pub(crate) items: Engine<StockItem>,
}

#[tonic::async_trait]
impl WarehouseService for WarehouseApi {
    async fn create_stock_item(
        &self,
        request: Request<CreateStockItemRequest>,
    ) -> Result<Response<StockItemResource>, Status> {
        let request = request.into_inner();
        let key = RequestKey::new("CreateStockItem", &request.request_id, &request);
        let asked = declared(request.stock_item.as_ref())?;
        let now = self.items.now();
        let id = id_in("items", &asked.item).map_err(Error::internal)?.to_owned();
        let created = StockItem { id, quantity: asked.quantity, create_time: now, update_time: now };
        let rule = move |existing: Option<&StockItem>| StockItem::create(existing, &created);
        self.items.execute(id_in("items", &asked.item).map_err(Error::internal)?, key, rule).await?.into_response()
    }

    async fn get_stock_item(
        &self,
        request: Request<GetStockItemRequest>,
    ) -> Result<Response<StockItemResource>, Status> {
        let name = request.into_inner().name;
        Ok(Response::new(self.items.get_named(&name).await?.resource()))
    }

    async fn list_stock_items(
        &self,
        request: Request<ListStockItemsRequest>,
    ) -> Result<Response<ListStockItemsResponse>, Status> {
        let request = request.into_inner();
        let page = PageRequest {
            page_size: request.page_size,
            page_token: &request.page_token,
            filter: &request.filter,
            // Ids are names here, and their order is the alphabet's.
            order_by: "create_time",
        };
        let (items, next_page_token) = self.items.list(page, FILTER).await?;
        let stock_items = items.iter().map(Aggregate::resource).collect();
        Ok(Response::new(ListStockItemsResponse { stock_items, next_page_token }))
    }

    async fn restock(&self, request: Request<RestockRequest>) -> Result<Response<StockItemResource>, Status> {
        let request = request.into_inner();
        let key = RequestKey::new("Restock", &request.request_id, &request);
        let (now, quantity) = (self.items.now(), request.quantity);
        self.items.command(&request.name, key, move |item| item.restock(quantity, now)).await?.into_response()
    }

    async fn reduce_stock(&self, request: Request<ReduceStockRequest>) -> Result<Response<StockItemResource>, Status> {
        let request = request.into_inner();
        let key = RequestKey::reservation(TAKING, &taking_of(&request), &taking(&request));
        let ReduceStockRequest { name, production, quantity, .. } = request;
        let now = self.items.now();
        let rule = move |item: &StockItem| item.reduce(&production, quantity, now);
        self.items.command(&name, Some(key), rule).await?.into_response()
    }

    async fn release_stock(
        &self,
        request: Request<ReleaseStockRequest>,
    ) -> Result<Response<StockItemResource>, Status> {
        let ReleaseStockRequest { name, production, quantity, .. } = request.into_inner();
        // What may have been asked for is what is given back.
        let taken = ReduceStockRequest { name, production, quantity, request_id: String::new() };
        let key = RequestKey::release(TAKING, &taking_of(&taken), &taken);
        let ReduceStockRequest { name, production, quantity, .. } = taken;
        let now = self.items.now();
        let rule = move |item: &StockItem| item.release(&production, quantity, now);
        let answer = self.items.command(&name, Some(key), rule).await?.into_response()?;
        // It takes nothing any more, and there is nothing to take of either.
        if answer.get_ref().name.is_empty() { Err(Error::not_found(&name).into()) } else { Ok(answer) }
    }
}

/// One production takes from one item once, whatever the request is called.
fn taking_of(request: &ReduceStockRequest) -> String {
    format!("{}/{}", request.name, request.production)
}

fn taking(request: &ReduceStockRequest) -> ReduceStockRequest {
    ReduceStockRequest { request_id: String::new(), ..request.clone() }
}
