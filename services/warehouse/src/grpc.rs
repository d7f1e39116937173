//! The gRPC API of the warehouse context.

use contracts::warehouse::v1::{
    CreateStockItemRequest, GetStockItemRequest, ListStockItemsRequest, ListStockItemsResponse, ReduceStockRequest,
    ReleaseStockRequest, RestockRequest, StockItem as StockItemResource, warehouse_service_server::WarehouseService,
};
use engine::{Aggregate, Engine, FilterField, PageRequest, RequestKey};
use jumun_core::{Error, declared, name::id_in};
use tonic::{Request, Response, Status};

use crate::domain::StockItem;

const FILTER: &[FilterField] = &[FilterField::name("item")];

/// The method that reserves stock: a production reserves each stock item at most once.
const RESERVATION: &str = "ReduceStock";

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
        let requested = declared(request.stock_item.as_ref())?;
        let now = self.items.now();
        let id = id_in("items", &requested.item).map_err(Error::internal)?.to_owned();
        let created = StockItem { id, quantity: requested.quantity, create_time: now, update_time: now };
        let rule = move |existing: Option<&StockItem>| StockItem::create(existing, &created);
        self.items.execute(id_in("items", &requested.item).map_err(Error::internal)?, key, rule).await?.into_response()
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
            // The ids are the names of products, so this order is alphabetical.
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
        let key = RequestKey::reservation(RESERVATION, &reservation_of(&request), &without_request_id(&request));
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
        // The release is paired with this reservation.
        let reserved = ReduceStockRequest { name, production, quantity, request_id: String::new() };
        let key = RequestKey::release(RESERVATION, &reservation_of(&reserved), &reserved);
        let ReduceStockRequest { name, production, quantity, .. } = reserved;
        let now = self.items.now();
        let rule = move |item: &StockItem| item.release(&production, quantity, now);
        let answer = self.items.command(&name, Some(key), rule).await?.into_response()?;
        // The reservation is ruled out from now on, although the item does not exist.
        if answer.get_ref().name.is_empty() { Err(Error::not_found(&name).into()) } else { Ok(answer) }
    }
}

/// One production reserves one item once, whatever the `request_id`.
fn reservation_of(request: &ReduceStockRequest) -> String {
    format!("{}/{}", request.name, request.production)
}

fn without_request_id(request: &ReduceStockRequest) -> ReduceStockRequest {
    ReduceStockRequest { request_id: String::new(), ..request.clone() }
}
