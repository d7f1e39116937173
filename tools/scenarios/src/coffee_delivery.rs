//! coffee-delivery: food delivery by processes with version labels: which process served a call, calls to a certain
//! version, and the effect of failures of payment. `make test-mesh` shows what a mesh adds.

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

/// Clients that read which process served a call, and the admin service of payment.
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
    runner.scene("She cancels before it is cooked", food_withdrawal::by_customer(runner, &cast)).await;
    runner.scene("Which processes served the call", who_served(runner, &cast, &replicas)).await;
    runner.scene("A drill: payment fails", drill(runner, &cast, &replicas)).await;
    runner.remark(
        "`make test-mesh` shows what needs a mesh: weights and routes by version, ejection of a failing replica",
    );
    runner.remark("without a lost request, and rolling updates under load.");
    Ok(())
}

async fn who_served(runner: &ScenarioRunner, cast: &Cast, replicas: &Replicas) -> Scene {
    runner.step("Mina orders; the response names the processes", served(cast, replicas, None)).await?;
    runner.remark("x-jumun-version is passed on with the request, from order to payment. A mesh routes by it;");
    runner.remark("without a mesh, any process serves the call.");
    runner.step("She asks for the canary", served(cast, replicas, Some("canary"))).await
}

/// Places an order and returns which processes served it.
async fn served(cast: &Cast, replicas: &Replicas, wanted: Option<&'static str>) -> StepResult<()> {
    let draft = cast.draft("tok_visa");
    let mut request = Request::new(CreateOrderRequest { order: Some(draft.clone()), request_id: new_id() });
    if let Some(version) = wanted {
        request.metadata_mut().insert("x-jumun-version", MetadataValue::from_static(version));
    }
    let answer = replicas.orders.clone().create_order(request).await.map_err(Box::<crate::refusal::Refusal>::from)?;
    let served_by = answer.metadata().get("x-jumun-served-by").context("expected x-jumun-served-by, got none")?;
    let served_by = served_by.to_str()?.to_owned();
    require_placed(&answer.into_inner(), &draft)?;
    for context in ["order/", "payment/"] {
        ensure!(served_by.split(", ").any(|name| name.starts_with(context)), "expected {context}…, got {served_by}");
    }
    Ok(((), format!("x-jumun-served-by: {served_by}")))
}

/// One call to payment fails, then all of them, then none.
async fn drill(runner: &ScenarioRunner, cast: &Cast, replicas: &Replicas) -> Scene {
    if let Err(refusal) = replicas.faults().await {
        runner.remark(&format!("Skipped: {refusal}."));
        runner.remark("It needs an operator's token, and a payment context that was started with JUMUN_DRILLS=true.");
        return Ok(());
    }
    let played = failing(runner, cast, replicas).await;
    // The faults are cleared even if the scene failed, so that they affect nobody else.
    let cleared = runner.step("The drill is over", replicas.clear()).await;
    played.and(cleared.map(drop))
}

async fn failing(runner: &ScenarioRunner, cast: &Cast, replicas: &Replicas) -> Scene {
    runner.step("The next call to payment is set to fail", replicas.set(1)).await?;
    runner.step("Mina orders successfully: order retries the call", cast.place()).await?;
    runner.step("All calls to payment are set to fail", replicas.set(0)).await?;
    let request_id = new_id();
    runner.step("Mina orders, and is asked to retry", asked_to_retry(cast, &request_id)).await?;
    runner.step("The fault is cleared", replicas.clear()).await?;
    runner.step("Her phone retries: the order is placed, and paid once", retried(cast, &request_id)).await?;
    Ok(())
}

async fn asked_to_retry(cast: &Cast, request_id: &str) -> StepResult<()> {
    let refusal = refused(cast.order(&cast.draft("tok_visa"), request_id).await)?;
    refusal.require(Code::Unavailable, "PAYMENT_UNAVAILABLE")?;
    refusal.require_retry()?;
    Ok(((), refusal.to_string()))
}

async fn retried(cast: &Cast, request_id: &str) -> StepResult<Order> {
    let draft = cast.draft("tok_visa");
    let order = cast.order(&draft, request_id).await?;
    require_placed(&order, &draft)?;
    let text = order.describe();
    Ok((order, text))
}

impl Replicas {
    /// Lists the faults; fails if fault injection is not allowed.
    async fn faults(&self) -> Answer<Vec<Fault>> {
        answer(self.payments_operator.clone().list_faults(ListFaultsRequest {})).await.map(|listed| listed.faults)
    }

    /// Makes `count` authorizations fail, or all if it is 0.
    async fn set(&self, max_count: i32) -> StepResult<()> {
        let (target, code) = (AUTHORIZE.to_owned(), "UNAVAILABLE".to_owned());
        let fault = Some(Fault { target, code, max_count, ..Fault::default() });
        answer(self.payments_operator.clone().set_fault(SetFaultRequest { fault })).await?;
        Ok(((), format!("{AUTHORIZE} answers UNAVAILABLE")))
    }

    /// Clears the fault and returns how many calls it affected.
    async fn clear(&self) -> StepResult<()> {
        let struck = self.faults().await?.iter().map(|fault| fault.struck_count).sum::<i64>();
        let request = ClearFaultsRequest { target: AUTHORIZE.to_owned() };
        answer(self.payments_operator.clone().clear_faults(request)).await?;
        Ok(((), format!("{struck} calls have failed")))
    }
}
