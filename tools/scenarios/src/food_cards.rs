//! Paying: an order is placed only if it is paid, and charged only if it is placed.

use std::time::Duration;

use anyhow::{bail, ensure};
use contracts::{
    order::v1::{GetOrderRequest, Order, order::State as OrderState},
    payment::v1::{GetPaymentRequest, Payment, payment::State as PaymentState},
};
use jumun_core::time::{Instant, sleep};
use tonic::Code;

use crate::{
    describe::{Describe, checked, described, new_id, payment_of, refused},
    food_delivery::{Cast, require_placed},
    runner::{ScenarioRunner, Scene, StepFailed, StepResult},
};

/// The minimum response time of the simulated provider for `tok_slow`.
const SLOW: Duration = Duration::from_millis(400);
/// A late charge arrives within this time after its order was rejected.
const LATE: Duration = Duration::from_secs(10);
const LATE_POLL_INTERVAL: Duration = Duration::from_millis(250);

/// A valid card, a repeated request, a declined card, an invalid card.
pub(crate) async fn paying(runner: &ScenarioRunner, cast: &Cast) -> Scene {
    let (draft, request_id) = (cast.draft("tok_visa"), new_id());
    let order =
        runner.step("Mina orders two bibimbap and pays with tok_visa", good_card(cast, &draft, &request_id)).await?;
    runner.step("Mina looks at her payment", payment(cast, &order)).await?;
    runner.step("Her phone sends the same request again", same_request(cast, &draft, &request_id, &order)).await?;
    runner.step("It sends another order with the same request_id", other_body(cast, &request_id)).await?;
    let declined = runner.step("Mina pays with tok_declined", declined_card(cast)).await?;
    runner.step("The declined order is rejected", declined_order(cast, &declined)).await?;
    runner.step("Mina pays with an invalid token", no_card(cast)).await
}

async fn good_card(cast: &Cast, draft: &Order, request_id: &str) -> StepResult<Order> {
    let order = cast.order(draft, request_id).await?;
    require_placed(&order, draft)?;
    let text = format!("{}, paid by {}", order.describe(), order.payment);
    Ok((order, text))
}

async fn payment(cast: &Cast, order: &Order) -> StepResult<Payment> {
    let payment = cast.clients.get_payment(GetPaymentRequest { name: order.payment.clone() }).await?;
    let holds = |payment: &Payment| {
        matches!(payment.state(), PaymentState::Authorized | PaymentState::Captured)
            && payment.payable == order.name
            && payment.amount == order.total
    };
    checked(payment, "AUTHORIZED or CAPTURED, the order's total", holds)
}

async fn same_request(cast: &Cast, draft: &Order, request_id: &str, first: &Order) -> StepResult<()> {
    let again = cast.order(draft, request_id).await?;
    ensure!(again == *first, "expected the first answer {first:?}, got {again:?}");
    Ok(((), "the same response; nothing is charged twice".to_owned()))
}

async fn other_body(cast: &Cast, request_id: &str) -> StepResult<()> {
    let mut other = cast.draft("tok_visa");
    other.items.truncate(1);
    let refusal = refused(cast.order(&other, request_id).await)?;
    refusal.require(Code::FailedPrecondition, "REQUEST_ID_REUSED")?;
    Ok(((), refusal.to_string()))
}

async fn declined_card(cast: &Cast) -> StepResult<String> {
    let refusal = refused(cast.order(&cast.draft("tok_declined"), &new_id()).await)?;
    refusal.require(Code::FailedPrecondition, "PAYMENT_DECLINED")?;
    let reason = refusal.metadata.get("decline_reason").map_or("", String::as_str);
    ensure!(reason == "INSUFFICIENT_FUNDS", "expected decline_reason INSUFFICIENT_FUNDS, got {reason:?}");
    Ok((refusal.require_order()?, format!("{refusal} ({reason})")))
}

async fn declined_order(cast: &Cast, name: &str) -> StepResult<()> {
    let order = cast.clients.get_order(GetOrderRequest { name: name.to_owned() }).await?;
    ensure!(order.state() == OrderState::Rejected, "expected {name} to be REJECTED, got {}", order.describe());
    let held = match cast.clients.get_payment(GetPaymentRequest { name: payment_of(name) }).await {
        Ok(payment) => checked(payment, "nothing held", |payment| payment.state() == PaymentState::Declined)?.1,
        Err(refusal) if refusal.code == Code::NotFound => "there is no payment".to_owned(),
        Err(refusal) => bail!("{refusal}"),
    };
    Ok(((), format!("{}; {held}", order.describe())))
}

async fn no_card(cast: &Cast) -> StepResult<()> {
    let refusal = refused(cast.order(&cast.draft("tok_unheard_of"), &new_id()).await)?;
    let is_field = refusal.fields.iter().any(|field| field == "order.payment_method");
    let holds = refusal.code == Code::InvalidArgument && is_field;
    ensure!(holds, "expected INVALID_ARGUMENT about order.payment_method, got {refusal} about {:?}", refusal.fields);
    Ok(((), refusal.to_string()))
}

/// Cards of which order learns late, or never, what became of the charge; at once, because each takes its time.
pub(crate) async fn odd_cards(runner: &ScenarioRunner, cast: &Cast) -> Scene {
    let (slow, error, lost, late) = tokio::join!(
        runner.step("Mina pays with tok_slow, and the order is placed after a delay", slow_card(cast)),
        Box::pin(given_up(runner, cast, "tok_error", "which fails before charging")),
        Box::pin(given_up(runner, cast, "tok_lost", "which charges but loses the response")),
        Box::pin(late_card(runner, cast)),
    );
    slow?;
    error?;
    lost?;
    late
}

async fn slow_card(cast: &Cast) -> StepResult<()> {
    let (draft, begun) = (cast.draft("tok_slow"), Instant::now());
    let order = cast.order(&draft, &new_id()).await?;
    let took = begun.elapsed();
    require_placed(&order, &draft)?;
    ensure!(took >= SLOW, "expected it to take {} ms, it took {}", SLOW.as_millis(), took.as_millis());
    Ok(((), order.describe()))
}

/// The outcome of the charge is unknown: the customer is asked to retry, and in the end nothing is charged.
async fn given_up(runner: &ScenarioRunner, cast: &Cast, token: &str, which: &str) -> Result<String, StepFailed> {
    let order = runner.step(&format!("Mina pays with {token}, {which}"), unconfirmed(cast, token)).await?;
    runner
        .step(&format!("The order with {token} is rejected and not charged"), rejected_and_voided(cast, &order))
        .await?;
    Ok(order)
}

async fn unconfirmed(cast: &Cast, token: &str) -> StepResult<String> {
    let refusal = refused(cast.order(&cast.draft(token), &new_id()).await)?;
    refusal.require_retry()?;
    Ok((refusal.require_order()?, refusal.to_string()))
}

async fn rejected_and_voided(cast: &Cast, order: &str) -> StepResult<()> {
    let rejected = cast.clients.order_becomes(order, OrderState::Rejected).await?;
    let voided = cast.clients.payment_becomes(order, PaymentState::Voided).await?;
    Ok(((), format!("{}; {}", rejected.describe(), voided.describe())))
}

/// The charge arrives after its order was rejected, and is rejected too.
async fn late_card(runner: &ScenarioRunner, cast: &Cast) -> Scene {
    let order = given_up(runner, cast, "tok_late", "which charges after the order was rejected").await?;
    runner.step("The late charge of tok_late is rejected", stays_voided(cast, &order)).await?;
    Ok(())
}

async fn stays_voided(cast: &Cast, order: &str) -> StepResult<Payment> {
    let begun = Instant::now();
    loop {
        let payment = cast.clients.get_payment(GetPaymentRequest { name: payment_of(order) }).await?;
        ensure!(payment.state() == PaymentState::Voided, "expected it to stay VOIDED, got {}", payment.describe());
        if begun.elapsed() >= LATE {
            cast.clients.order_becomes(order, OrderState::Rejected).await?;
            return described(payment);
        }
        sleep(LATE_POLL_INTERVAL).await;
    }
}
