//! The clients of the contexts, each at its own address.

use std::{future::Future, time::Duration};

use anyhow::Context;
use client::AuthenticatedChannel;
use contracts::{
    dashboard::v1::{GetOrderViewRequest, OrderView, dashboard_service_client::DashboardServiceClient},
    delivery::v1::{
        CompleteDeliveryRequest, Delivery, GetDeliveryRequest, PickUpDeliveryRequest, StartDeliveryRequest,
        delivery_service_client::DeliveryServiceClient,
    },
    kitchen::v1::{
        CompleteProductionRequest, FailProductionRequest, GetProductionRequest, Production,
        kitchen_service_client::KitchenServiceClient,
    },
    order::v1::{
        CancelOrderRequest, CreateOrderRequest, GetOrderRequest, Order, WatchOrderRequest,
        order_service_client::OrderServiceClient,
    },
    payment::v1::{GetPaymentRequest, Payment, payment_service_client::PaymentServiceClient},
    store::v1::{
        AcceptTicketRequest, FinishCookingRequest, GetTicketRequest, ListTicketsRequest, ListTicketsResponse,
        RejectTicketRequest, StartCookingRequest, Ticket, store_service_client::StoreServiceClient,
    },
    warehouse::v1::{
        CreateStockItemRequest, GetStockItemRequest, RestockRequest, StockItem,
        warehouse_service_client::WarehouseServiceClient,
    },
};
use jumun_core::time::{Instant, sleep, timeout};
use tonic::{Response, Status, Streaming, transport::Endpoint};

use crate::{addresses::Addresses, refusal::Answer};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longer than any deadline of the server, so that the server reports its own timeouts.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(15);

#[derive(Clone)]
pub(crate) struct Clients {
    orders: OrderServiceClient<AuthenticatedChannel>,
    payments: PaymentServiceClient<AuthenticatedChannel>,
    stores: StoreServiceClient<AuthenticatedChannel>,
    deliveries: DeliveryServiceClient<AuthenticatedChannel>,
    kitchens: KitchenServiceClient<AuthenticatedChannel>,
    warehouse: WarehouseServiceClient<AuthenticatedChannel>,
    dashboard: DashboardServiceClient<AuthenticatedChannel>,
}

/// Generates a method for each call.
macro_rules! calls {
    ($($client:ident.$method:ident($request:ty) -> $answer:ty;)*) => {
        $(pub(crate) async fn $method(&self, request: $request) -> Answer<$answer> {
            // Boxed, so that the futures of scenes do not grow with every call.
            let call = || {
                let (mut client, request) = (self.$client.clone(), request.clone());
                async move { client.$method(request).await }
            };
            Box::pin($crate::clients::answer_with_retries(call)).await
        })*
    };
}
pub(crate) use calls;

impl Clients {
    /// Connects to these contexts and fails if one cannot be reached; connects to the others when they are called.
    pub(crate) async fn connect(addresses: &Addresses<'_>, contexts: &[&str]) -> anyhow::Result<Self> {
        let connect = async |context: &str| match contexts.contains(&context) {
            true => connect(context, addresses).await,
            false => Ok(addresses.connector.authenticate(endpoint(context, addresses)?.connect_lazy())),
        };
        Ok(Self {
            orders: OrderServiceClient::new(connect("order").await?),
            payments: PaymentServiceClient::new(connect("payment").await?),
            stores: StoreServiceClient::new(connect("store").await?),
            deliveries: DeliveryServiceClient::new(connect("delivery").await?),
            kitchens: KitchenServiceClient::new(connect("kitchen").await?),
            warehouse: WarehouseServiceClient::new(connect("warehouse").await?),
            dashboard: DashboardServiceClient::new(connect("dashboard").await?),
        })
    }

    calls! {
        orders.create_order(CreateOrderRequest) -> Order;
        orders.get_order(GetOrderRequest) -> Order;
        orders.cancel_order(CancelOrderRequest) -> Order;
        orders.watch_order(WatchOrderRequest) -> Streaming<Order>;
        payments.get_payment(GetPaymentRequest) -> Payment;
        stores.get_ticket(GetTicketRequest) -> Ticket;
        stores.list_tickets(ListTicketsRequest) -> ListTicketsResponse;
        stores.accept_ticket(AcceptTicketRequest) -> Ticket;
        stores.reject_ticket(RejectTicketRequest) -> Ticket;
        stores.start_cooking(StartCookingRequest) -> Ticket;
        stores.finish_cooking(FinishCookingRequest) -> Ticket;
        deliveries.get_delivery(GetDeliveryRequest) -> Delivery;
        deliveries.start_delivery(StartDeliveryRequest) -> Delivery;
        deliveries.pick_up_delivery(PickUpDeliveryRequest) -> Delivery;
        deliveries.complete_delivery(CompleteDeliveryRequest) -> Delivery;
        kitchens.get_production(GetProductionRequest) -> Production;
        kitchens.complete_production(CompleteProductionRequest) -> Production;
        kitchens.fail_production(FailProductionRequest) -> Production;
        warehouse.create_stock_item(CreateStockItemRequest) -> StockItem;
        warehouse.get_stock_item(GetStockItemRequest) -> StockItem;
        warehouse.restock(RestockRequest) -> StockItem;
        dashboard.get_order_view(GetOrderViewRequest) -> OrderView;
    }
}

/// Connects to a context.
pub(crate) async fn connect(context: &str, addresses: &Addresses<'_>) -> anyhow::Result<AuthenticatedChannel> {
    let address = addresses.for_context(context);
    let connected = endpoint(context, addresses)?.connect().await;
    let channel =
        connected.with_context(|| format!("cannot connect to the {context} context at {address} (is it running?)"))?;
    Ok(addresses.connector.authenticate(channel))
}

fn endpoint(context: &str, addresses: &Addresses<'_>) -> anyhow::Result<Endpoint> {
    Ok(addresses.connector.endpoint(addresses.for_context(context))?.connect_timeout(CONNECT_TIMEOUT))
}

/// Returns the response of a call; fails after CLIENT_TIMEOUT.
pub(crate) async fn answer<T>(call: impl Future<Output = Result<Response<T>, Status>>) -> Answer<T> {
    let silence = || Status::deadline_exceeded(format!("no response within {} s", CLIENT_TIMEOUT.as_secs()));
    let answer = timeout(CLIENT_TIMEOUT, call).await.unwrap_or_else(|_| Err(silence()));
    Ok(answer?.into_inner())
}

/// Returns the response of a call. Retries after the requested delay if the call was rejected before it was processed.
pub(crate) async fn answer_with_retries<T, F: Future<Output = Result<Response<T>, Status>>>(
    call: impl Fn() -> F,
) -> Answer<T> {
    let begun = Instant::now();
    loop {
        match answer(call()).await {
            Err(refusal) => match refusal.nothing_was_done() {
                Some(retry_after) if begun.elapsed() < CLIENT_TIMEOUT => sleep(retry_after).await,
                _ => return Err(refusal),
            },
            answer => return answer,
        }
    }
}
