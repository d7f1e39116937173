//! coffee-delivery: the business of food-delivery, by processes that can be told apart: who served what, which version
//! is wanted, and what the customer notices when payment fails. What a mesh adds to it, `make test-mesh` shows.

use anyhow::{Context, ensure};
use contracts::{
    admin::v1::{
        ClearFaultsRequest, Fault, ListFaultsRequest, SetFaultRequest, admin_service_client::AdminServiceClient,
    },
    order::v1::{CreateOrderRequest, Order, order_service_client::OrderServiceClient},
};
use tonic::{Code, Request, metadata::MetadataValue};

use super::{
    Addresses,
    clients::{Clients, answer, connect},
    food_course,
    food_delivery::{CONTEXTS, Cast, require_placed},
    food_withdrawal,
    refusal::Answer,
    sights::{Sight, new_id, refused},
    stage::{Scene, Seen, Stage},
};
use crate::config::Door;

const AUTHORIZE: &str = "jumun.payment.v1.PaymentService/AuthorizePayment";

/// The doors behind which processes say who they are, and payment's operator.
struct Replicas {
    orders: OrderServiceClient<Door>,
    payments_operator: AdminServiceClient<Door>,
}

pub(crate) async fn play(stage: &Stage, addresses: &Addresses<'_>) -> anyhow::Result<()> {
    let cast = Cast::new(Clients::connect(addresses, &CONTEXTS).await?);
    let replicas = Replicas {
        orders: OrderServiceClient::new(connect("order", addresses).await?),
        payments_operator: AdminServiceClient::new(connect("payment", addresses).await?),
    };
    stage.scene("Mina has coffee delivered", food_course::play(stage, &cast)).await;
    stage.scene("She cancels before it is made", food_withdrawal::by_customer(stage, &cast)).await;
    stage.scene("Who served her", who_served(stage, &cast, &replicas)).await;
    stage.scene("Payment fails, for a drill", drill(stage, &cast, &replicas)).await;
    stage.remark("What needs the mesh is shown by `make test-mesh`: weights and routes by version, a failing replica");
    stage.remark("that is taken out without a lost request, rolling updates under load.");
    Ok(())
}

async fn who_served(stage: &Stage, cast: &Cast, replicas: &Replicas) -> Scene {
    stage.step("Mina orders; the answer says who served it", served(cast, replicas, None)).await?;
    stage.remark("x-jumun-version goes along with the request, from order to payment. A mesh routes by it;");
    stage.remark("without one, whoever is there serves it.");
    stage.step("She asks to be served by the canary", served(cast, replicas, Some("canary"))).await
}

/// Places an order, and reads who served it.
async fn served(cast: &Cast, replicas: &Replicas, wanted: Option<&'static str>) -> Seen<()> {
    let wish = cast.wish("tok_visa");
    let mut request = Request::new(CreateOrderRequest { order: Some(wish.clone()), request_id: new_id() });
    if let Some(version) = wanted {
        request.metadata_mut().insert("x-jumun-version", MetadataValue::from_static(version));
    }
    let answer = replicas.orders.clone().create_order(request).await.map_err(Box::<super::refusal::Refusal>::from)?;
    let served_by = answer.metadata().get("x-jumun-served-by").context("expected x-jumun-served-by, got none")?;
    let served_by = served_by.to_str()?.to_owned();
    require_placed(&answer.into_inner(), &wish)?;
    for context in ["order/", "payment/"] {
        ensure!(served_by.split(", ").any(|name| name.starts_with(context)), "expected {context}…, got {served_by}");
    }
    Ok(((), format!("x-jumun-served-by: {served_by}")))
}

/// One of payment's calls fails, then all of them, then none.
async fn drill(stage: &Stage, cast: &Cast, replicas: &Replicas) -> Scene {
    if let Err(refusal) = replicas.faults().await {
        stage.remark(&format!("Left out: {refusal}."));
        stage.remark("Where payment was started with JUMUN_DRILLS=true, and for an operator, it is played.");
        return Ok(());
    }
    let played = failing(stage, cast, replicas).await;
    // Whatever became of the scene, nobody else is to meet its faults.
    let cleared = stage.step("The drill is over", replicas.clear()).await;
    played.and(cleared.map(drop))
}

async fn failing(stage: &Stage, cast: &Cast, replicas: &Replicas) -> Scene {
    stage.step("One of payment's calls is to fail", replicas.set(1)).await?;
    stage.step("Mina orders, and notices nothing: order asks again", cast.place()).await?;
    stage.step("All of payment's calls are to fail", replicas.set(0)).await?;
    let request_id = new_id();
    stage.step("Mina orders, and is told to ask again", told_to_ask_again(cast, &request_id)).await?;
    stage.step("The fault is cleared", replicas.clear()).await?;
    stage.step("Her phone asks again: the order stands, and is paid once", asked_again(cast, &request_id)).await?;
    Ok(())
}

async fn told_to_ask_again(cast: &Cast, request_id: &str) -> Seen<()> {
    let refusal = refused(cast.order(&cast.wish("tok_visa"), request_id).await)?;
    refusal.require(Code::Unavailable, "PAYMENT_UNAVAILABLE")?;
    refusal.require_retry()?;
    Ok(((), refusal.to_string()))
}

async fn asked_again(cast: &Cast, request_id: &str) -> Seen<Order> {
    let wish = cast.wish("tok_visa");
    let order = cast.order(&wish, request_id).await?;
    require_placed(&order, &wish)?;
    let told = order.sight();
    Ok((order, told))
}

impl Replicas {
    /// The faults that are set; fails where none can be.
    async fn faults(&self) -> Answer<Vec<Fault>> {
        answer(self.payments_operator.clone().list_faults(ListFaultsRequest {})).await.map(|listed| listed.faults)
    }

    /// Makes authorizations fail: so many, or all when 0.
    async fn set(&self, max_count: i32) -> Seen<()> {
        let (target, code) = (AUTHORIZE.to_owned(), "UNAVAILABLE".to_owned());
        let fault = Some(Fault { target, code, max_count, ..Fault::default() });
        answer(self.payments_operator.clone().set_fault(SetFaultRequest { fault })).await?;
        Ok(((), format!("{AUTHORIZE} answers UNAVAILABLE")))
    }

    /// Takes the fault away, and tells what it did.
    async fn clear(&self) -> Seen<()> {
        let struck = self.faults().await?.iter().map(|fault| fault.struck_count).sum::<i64>();
        let request = ClearFaultsRequest { target: AUTHORIZE.to_owned() };
        answer(self.payments_operator.clone().clear_faults(request)).await?;
        Ok(((), format!("{struck} calls had failed")))
    }
}
