//! Who may ask the order context for what.

use contracts::order::v1::{
    CancelOrderRequest, CreateOrderRequest, GetOrderRequest, ListOrdersRequest, ListOrdersResponse,
    Order as OrderResource, WatchOrderRequest, order::Fulfillment, order_service_server::OrderService,
};
use futures::{Stream, StreamExt};
use kit::{
    Aggregate, Engine, Error, FilterField, Money, PageRequest, RequestKey, Violations,
    ambient::finish,
    check_target,
    name::{check_request_id, new_id},
};
use tonic::{Request, Response, Status};

use crate::{
    domain::{Item, Order, State, reason},
    placing::{Placing, unconfirmed},
};

/// Lines of one order.
const MAX_ITEMS: usize = 100;
/// Pieces in one line.
const MAX_QUANTITY: i32 = 1000;
/// Bytes of the name of what is bought, and of a payment token.
const MAX_ITEM_LENGTH: usize = 128;
const MAX_TOKEN_LENGTH: usize = 64;

const FILTER: &[FilterField] = &[FilterField::name("customer"), FilterField::state::<State>()];

/// Serves `jumun.order.v1.OrderService`.
pub(crate) struct OrderApi {
    pub(crate) orders: Engine<Order>,
    pub(crate) placing: Placing,
}

#[tonic::async_trait]
impl OrderService for OrderApi {
    async fn create_order(&self, request: Request<CreateOrderRequest>) -> Result<Response<OrderResource>, Status> {
        let request = request.into_inner();
        let requested = requested_order(&request, self.orders.now())?;
        let key = RequestKey::new("CreateOrder", &request.request_id, &request)
            .ok_or_else(|| Error::internal("a missing request_id was not refused"))?;
        let placing = self.placing.clone();
        // A caller that goes away does not stop an order half way.
        let order = finish(async move { placing.place(key, requested).await }).await?;
        Ok(Response::new(answer(&order)?.resource()))
    }

    async fn get_order(&self, request: Request<GetOrderRequest>) -> Result<Response<OrderResource>, Status> {
        let name = request.into_inner().name;
        check_target("orders", &name, "")?;
        Ok(Response::new(self.orders.get_named(&name).await?.resource()))
    }

    async fn list_orders(&self, request: Request<ListOrdersRequest>) -> Result<Response<ListOrdersResponse>, Status> {
        let request = request.into_inner();
        let page =
            PageRequest { page_size: request.page_size, page_token: &request.page_token, filter: &request.filter };
        let (orders, next_page_token) = self.orders.list(page, FILTER).await?;
        let orders = orders.iter().map(Aggregate::resource).collect();
        Ok(Response::new(ListOrdersResponse { orders, next_page_token }))
    }

    async fn cancel_order(&self, request: Request<CancelOrderRequest>) -> Result<Response<OrderResource>, Status> {
        let request = request.into_inner();
        check_target("orders", &request.name, &request.request_id)?;
        let key = RequestKey::new("CancelOrder", &request.request_id, &request);
        let now = self.orders.now();
        self.orders.command(&request.name, key, move |order| order.cancel(now)).await?.into_response()
    }

    type WatchOrderStream = std::pin::Pin<Box<dyn Stream<Item = Result<OrderResource, Status>> + Send>>;

    async fn watch_order(
        &self,
        request: Request<WatchOrderRequest>,
    ) -> Result<Response<Self::WatchOrderStream>, Status> {
        let name = request.into_inner().name;
        check_target("orders", &name, "")?;
        // An order that does not exist is an error, not a stream that ends at once.
        let order = self.orders.get_named(&name).await?;
        let changes = self.orders.watch(&order.id, Order::is_final)?;
        Ok(Response::new(Box::pin(changes.map(|order| Ok(order?.resource())))))
    }
}

/// What CreateOrder answers about an order, the first time and each time it is repeated.
fn answer(order: &Order) -> Result<Order, Error> {
    if let Some(placed) = order.as_placed() {
        return Ok(placed);
    }
    let name = order.name();
    Err(match (order.state, order.state_reason.as_str()) {
        (State::Rejected, reason::INVALID_PAYMENT_METHOD) => {
            let mut violations = Violations::default();
            violations.add("order.payment_method", "is not a payment method");
            violations.into_result().err().unwrap_or_else(|| Error::internal("no violation"))
        }
        (State::Rejected, reason::PAYMENT_UNCONFIRMED) => Error::aborted(
            "ORDER_NOT_PLACED",
            "payment could not be confirmed, so the order was not placed and nothing is charged; order again",
        )
        .with("order", name),
        (State::Rejected, declined) => Error::precondition("PAYMENT_DECLINED", "the payment was declined")
            .with("decline_reason", declined)
            .with("order", name),
        _ => unconfirmed(order, &Status::unavailable("it is being voided")),
    })
}

/// Reads and checks everything in a request, and writes the order that it asks for.
fn requested_order(request: &CreateOrderRequest, now: kit::Time) -> Result<Order, Error> {
    let mut violations = Violations::default();
    violations.take("request_id", check_request_id(&request.request_id));
    let Some(order) = &request.order else {
        violations.add("order", "is required");
        violations.into_result()?;
        return Err(Error::internal("a missing order was not refused"));
    };
    violations.id("order.customer", "customers", &order.customer);
    violations.id("order.store", "stores", &order.store);
    let token = &order.payment_method;
    let is_token = (1..=MAX_TOKEN_LENGTH).contains(&token.len())
        && token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
        && token.starts_with(|first: char| first.is_ascii_alphabetic());
    violations.require(is_token, "order.payment_method", "must be a token, a letter and up to 63 of A-Z a-z 0-9 _ -");
    let fulfillment = violations.take("order.fulfillment", read_fulfillment(order.fulfillment));
    let items = read_items(order, &mut violations);
    violations.into_result()?;
    let (items, total) = items.ok_or_else(|| Error::internal("wrong items were not refused"))?;
    Ok(Order {
        id: new_id(),
        customer: order.customer.clone(),
        store: order.store.clone(),
        items,
        total,
        fulfillment: fulfillment.unwrap_or(Fulfillment::Delivery).as_str_name().to_owned(),
        payment_method: order.payment_method.clone(),
        state: State::Pending,
        state_reason: String::new(),
        payment: String::new(),
        create_time: now,
        placed_time: None,
        update_time: now,
    })
}

fn read_fulfillment(number: i32) -> Result<Fulfillment, String> {
    match Fulfillment::try_from(number) {
        Ok(Fulfillment::Unspecified | Fulfillment::Delivery) => Ok(Fulfillment::Delivery),
        Ok(Fulfillment::Counter) => Ok(Fulfillment::Counter),
        Err(_) => Err("must be DELIVERY or COUNTER".to_owned()),
    }
}

fn read_items(order: &OrderResource, violations: &mut Violations) -> Option<(Vec<Item>, Money)> {
    if order.items.is_empty() || order.items.len() > MAX_ITEMS {
        violations.add("order.items", format!("must be 1 to {MAX_ITEMS} lines"));
        return None;
    }
    let mut items = Vec::with_capacity(order.items.len());
    let mut total: Option<Money> = None;
    for (index, line) in order.items.iter().enumerate() {
        let field = |name: &str| format!("order.items[{index}].{name}");
        let named = (1..=MAX_ITEM_LENGTH).contains(&line.item.len()) && !line.item.chars().any(char::is_control);
        violations.require(named, &field("item"), "must be 1 to 128 bytes of text");
        let counted = (1..=MAX_QUANTITY).contains(&line.quantity);
        violations.require(counted, &field("quantity"), "must be 1 to 1000");
        let price = line.unit_price.as_ref().ok_or_else(|| "is required".to_owned()).and_then(Money::from_wire);
        let Some(price) = violations.take(field("unit_price"), price) else { continue };
        violations.require(price.minor() >= 0, &field("unit_price"), "must not be negative");
        if !named || !counted || price.minor() < 0 {
            continue;
        }
        let sum = price.checked_mul(line.quantity.into());
        total = match (total, sum) {
            (None, sum) => sum,
            (Some(total), Some(sum)) if total.currency() != sum.currency() => {
                violations.add(
                    field("unit_price.currency_code"),
                    format!("must be {}, as the first line's", total.currency()),
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
    // Where a line is wrong, nothing can be said about their sum.
    let total = total.filter(|_| items.len() == order.items.len())?;
    violations.require(total.minor() > 0, "order.items", "must cost something");
    if let Some(claimed) = &order.total {
        let claimed = violations.take("order.total", Money::from_wire(claimed));
        let matches = claimed.is_none_or(|claimed| claimed == total);
        violations.require(matches, "order.total", "is not the sum of the lines; leave it out");
    }
    Some((items, total))
}
