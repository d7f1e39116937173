//! The gRPC API of the order context.

use contracts::order::v1::{
    CancelOrderRequest, CreateOrderRequest, GetOrderRequest, ListOrdersRequest, ListOrdersResponse,
    Order as OrderResource, WatchOrderRequest, order::Fulfillment, order_service_server::OrderService,
};
use engine::{Aggregate, Engine, FilterField, RequestKey, page_request};
use futures::{Stream, StreamExt};
use jumun_core::{Error, Money, Violations, declared, name::new_id, request_context::run_to_completion};
use payment_saga::PaymentSaga;
use tonic::{Request, Response, Status};

use crate::{
    cancellation::Cancellation,
    domain::{Item, Order, State},
};

const FILTER: &[FilterField] = &[FilterField::name("customer"), FilterField::state::<State>()];

/// Serves `jumun.order.v1.OrderService`.
pub(crate) struct OrderApi {
    pub(crate) orders: Engine<Order>,
    pub(crate) payment_saga: PaymentSaga<Order>,
    pub(crate) cancellation: Cancellation,
}

#[tonic::async_trait]
impl OrderService for OrderApi {
    async fn create_order(&self, request: Request<CreateOrderRequest>) -> Result<Response<OrderResource>, Status> {
        let request = request.into_inner();
        let requested = requested_order(&request, self.orders.now())?;
        let key = declared(RequestKey::new("CreateOrder", &request.request_id, &request))?;
        let payment_saga = self.payment_saga.clone();
        // Runs to completion, also when the caller disconnects.
        let order = run_to_completion(async move { payment_saga.run(key, requested).await }).await?;
        Ok(Response::new(order.resource()))
    }

    async fn get_order(&self, request: Request<GetOrderRequest>) -> Result<Response<OrderResource>, Status> {
        let name = request.into_inner().name;
        Ok(Response::new(self.orders.get_named(&name).await?.resource()))
    }

    async fn list_orders(&self, request: Request<ListOrdersRequest>) -> Result<Response<ListOrdersResponse>, Status> {
        let request = request.into_inner();
        let page = page_request!(request);
        let (orders, next_page_token) = self.orders.list(page, FILTER).await?;
        let orders = orders.iter().map(Aggregate::resource).collect();
        Ok(Response::new(ListOrdersResponse { orders, next_page_token }))
    }

    async fn cancel_order(&self, request: Request<CancelOrderRequest>) -> Result<Response<OrderResource>, Status> {
        let request = request.into_inner();
        let key = RequestKey::new("CancelOrder", &request.request_id, &request);
        let cancellation = self.cancellation.clone();
        // Runs to completion, also when the caller disconnects, so that kitchen and order agree.
        run_to_completion(async move { cancellation.cancel(&request.name, key).await }).await?.into_response()
    }

    type WatchOrderStream = std::pin::Pin<Box<dyn Stream<Item = Result<OrderResource, Status>> + Send>>;

    async fn watch_order(
        &self,
        request: Request<WatchOrderRequest>,
    ) -> Result<Response<Self::WatchOrderStream>, Status> {
        let name = request.into_inner().name;
        // An order that does not exist is an error, not a stream that ends at once.
        let order = self.orders.get_named(&name).await?;
        let changes = self.orders.watch(&order.id, Order::is_final)?;
        Ok(Response::new(Box::pin(changes.map(|order| Ok(order?.resource())))))
    }
}

/// Builds the requested order, and checks what its proto cannot declare.
fn requested_order(request: &CreateOrderRequest, now: jumun_core::Time) -> Result<Order, Error> {
    let order = declared(request.order.as_ref())?;
    let mut violations = Violations::default();
    let items = read_items(order, &mut violations);
    violations.into_result()?;
    let (items, total) = declared(items)?;
    let fulfillment = match order.fulfillment() {
        Fulfillment::Unspecified | Fulfillment::Delivery => Fulfillment::Delivery,
        Fulfillment::Counter => Fulfillment::Counter,
    };
    Ok(Order {
        id: new_id(),
        customer: order.customer.clone(),
        store: order.store.clone(),
        items,
        total,
        fulfillment: fulfillment.as_str_name().to_owned(),
        payment_method: order.payment_method.clone(),
        state: State::Pending,
        state_reason: String::new(),
        payment: String::new(),
        create_time: now,
        placed_time: None,
        update_time: now,
    })
}

fn read_items(order: &OrderResource, violations: &mut Violations) -> Option<(Vec<Item>, Money)> {
    let mut items = Vec::with_capacity(order.items.len());
    let mut total: Option<Money> = None;
    for (index, line) in order.items.iter().enumerate() {
        let field = |name: &str| format!("order.items[{index}].{name}");
        let price = Money::try_from(line.unit_price.as_ref()?);
        let Some(price) = violations.take(field("unit_price"), price) else { continue };
        if price.minor() < 0 {
            violations.add(field("unit_price"), "must not be negative");
            continue;
        }
        let sum = price.checked_mul(line.quantity.into());
        total = match (total, sum) {
            (None, sum) => sum,
            (Some(total), Some(sum)) if total.currency() != sum.currency() => {
                violations.add(
                    field("unit_price.currency_code"),
                    format!("must be {}, the currency of the first line", total.currency()),
                );
                continue;
            }
            (Some(total), Some(sum)) => total.checked_add(sum),
            (Some(_), None) => None,
        };
        if total.is_none() {
            violations.add(field("unit_price"), "makes the total too large");
            return None;
        }
        items.push(Item { item: line.item.clone(), quantity: line.quantity, unit_price: price.minor() });
    }
    // The total is unknown when a line is wrong.
    let total = total.filter(|_| items.len() == order.items.len())?;
    violations.require(total.minor() > 0, "order.items", "must have a total above zero");
    if let Some(claimed) = &order.total {
        let claimed = violations.take("order.total", Money::try_from(claimed));
        let matches = claimed.is_none_or(|claimed| claimed == total);
        violations.require(matches, "order.total", "must be the sum of the lines, or left out");
    }
    Some((items, total))
}
