//! coffee-delivery: the business of food-delivery, by processes that can be told apart: who served what, which version
//! is wanted, and what the customer notices when payment fails. What a mesh adds to it, `make test-mesh` shows.

use anyhow::{Context, ensure};
use client::AuthenticatedChannel;
use contracts::{
    admin::v1::{
        ClearFaultsRequest, Fault, ListFaultsRequest, SetFaultRequest, admin_service_client::AdminServiceClient,
    },
    order::v1::{CreateOrderRequest, Order, order_service_client::OrderServiceClient},
};
use tonic::{Code, Request, metadata::MetadataValue};

use crate::{
    addresses::Addresses,
    clients::{Clients, answer, connect},
    describe::{Describe, new_id, refused},
    food_course,
    food_delivery::{CONTEXTS, Cast, require_placed},
    food_withdrawal,
    refusal::Answer,
    runner::{ScenarioRunner, Scene, StepResult},
};

const AUTHORIZE: &str = "jumun.payment.v1.PaymentService/AuthorizePayment";

/// The doors behind which processes say who they are, and payment's operator.
struct Replicas {
    orders: OrderServiceClient<AuthenticatedChannel>,
    payments_operator: AdminServiceClient<AuthenticatedChannel>,
}

pub(crate) async fn play(runner: &ScenarioRunner, addresses: &Addresses<'_>) -> anyhow::Result<()> {
    let cast = Cast::new(Clients::connect(addresses, &CONTEXTS).await?);
    let replicas = Replicas {
        orders: OrderServiceClient::new(connect("order", addresses).await?),
        payments_operator: AdminServiceClient::new(connect("payment", addresses).await?),
    };
    runner.scene("Mina has coffee delivered", food_course::play(runner, &cast)).await;
    runner.scene("She cancels before it is made", food_withdrawal::by_customer(runner, &cast)).await;
    runner.scene("Who served her", who_served(runner, &cast, &replicas)).await;
    runner.scene("Payment fails, for a drill", drill(runner, &cast, &replicas)).await;
    runner.remark("What needs the mesh is shown by `make test-mesh`: weights and routes by version, a failing replica");
    runner.remark("that is taken out without a lost request, rolling updates under load.");
    Ok(())
}

async fn who_served(runner: &ScenarioRunner, cast: &Cast, replicas: &Replicas) -> Scene {
    runner.step("Mina orders; the answer says who served it", served(cast, replicas, None)).await?;
    runner.remark("x-jumun-version goes along with the request, from order to payment. A mesh routes by it;");
    runner.remark("without one, whoever is there serves it.");
    runner.step("She asks to be served by the canary", served(cast, replicas, Some("canary"))).await
}

/// Places an order, and reads who served it.
async fn served(cast: &Cast, replicas: &Replicas, wanted: Option<&'static str>) -> StepResult<()> {
    let wish = cast.wish("tok_visa");
    let mut request = Request::new(CreateOrderRequest { order: Some(wish.clone()), request_id: new_id() });
    if let Some(version) = wanted {
        request.metadata_mut().insert("x-jumun-version", MetadataValue::from_static(version));
    }
    let answer = replicas.orders.clone().create_order(request).await.map_err(Box::<crate::refusal::Refusal>::from)?;
    let served_by = answer.metadata().get("x-jumun-served-by").context("expected x-jumun-served-by, got none")?;
    let served_by = served_by.to_str()?.to_owned();
    require_placed(&answer.into_inner(), &wish)?;
    for context in ["order/", "payment/"] {
        ensure!(served_by.split(", ").any(|name| name.starts_with(context)), "expected {context}…, got {served_by}");
    }
    Ok(((), format!("x-jumun-served-by: {served_by}")))
}

/// One of payment's calls fails, then all of them, then none.
async fn drill(runner: &ScenarioRunner, cast: &Cast, replicas: &Replicas) -> Scene {
    if let Err(refusal) = replicas.faults().await {
        runner.remark(&format!("Left out: {refusal}."));
        runner.remark("Where payment was started with JUMUN_DRILLS=true, and for an operator, it is played.");
        return Ok(());
    }
    let played = failing(runner, cast, replicas).await;
    // Whatever became of the scene, nobody else is to meet its faults.
    let cleared = runner.step("The drill is over", replicas.clear()).await;
    played.and(cleared.map(drop))
}

async fn failing(runner: &ScenarioRunner, cast: &Cast, replicas: &Replicas) -> Scene {
    runner.step("One of payment's calls is to fail", replicas.set(1)).await?;
    runner.step("Mina orders, and notices nothing: order asks again", cast.place()).await?;
    runner.step("All of payment's calls are to fail", replicas.set(0)).await?;
    let request_id = new_id();
    runner.step("Mina orders, and is told to ask again", told_to_ask_again(cast, &request_id)).await?;
    runner.step("The fault is cleared", replicas.clear()).await?;
    runner.step("Her phone asks again: the order stands, and is paid once", asked_again(cast, &request_id)).await?;
    Ok(())
}

async fn told_to_ask_again(cast: &Cast, request_id: &str) -> StepResult<()> {
    let refusal = refused(cast.order(&cast.wish("tok_visa"), request_id).await)?;
    refusal.require(Code::Unavailable, "PAYMENT_UNAVAILABLE")?;
    refusal.require_retry()?;
    Ok(((), refusal.to_string()))
}

async fn asked_again(cast: &Cast, request_id: &str) -> StepResult<Order> {
    let wish = cast.wish("tok_visa");
    let order = cast.order(&wish, request_id).await?;
    require_placed(&order, &wish)?;
    let told = order.describe();
    Ok((order, told))
}

impl Replicas {
    /// The faults that are set; fails where none can be.
    async fn faults(&self) -> Answer<Vec<Fault>> {
        answer(self.payments_operator.clone().list_faults(ListFaultsRequest {})).await.map(|listed| listed.faults)
    }

    /// Makes authorizations fail: so many, or all when 0.
    async fn set(&self, max_count: i32) -> StepResult<()> {
        let (target, code) = (AUTHORIZE.to_owned(), "UNAVAILABLE".to_owned());
        let fault = Some(Fault { target, code, max_count, ..Fault::default() });
        answer(self.payments_operator.clone().set_fault(SetFaultRequest { fault })).await?;
        Ok(((), format!("{AUTHORIZE} answers UNAVAILABLE")))
    }

    /// Takes the fault away, and tells what it did.
    async fn clear(&self) -> StepResult<()> {
        let struck = self.faults().await?.iter().map(|fault| fault.struck_count).sum::<i64>();
        let request = ClearFaultsRequest { target: AUTHORIZE.to_owned() };
        answer(self.payments_operator.clone().clear_faults(request)).await?;
        Ok(((), format!("{struck} calls had failed")))
    }
}
