//! The fee: a learner is enrolled only if the fee is paid, and is charged only if enrolled.

use anyhow::ensure;
use contracts::{
    education::v1::GetRegistrationRequest,
    enrollment::v1::{Enrollment, GetEnrollmentRequest, enrollment::State as EnrollmentState},
    payment::v1::{GetPaymentRequest, Payment, payment::State as PaymentState},
};
use tonic::Code;

use crate::{
    describe::{Describe, checked, new_id, refused},
    education::{Cast, payment_of, registration_of, require_enrolled},
    runner::{ScenarioRunner, Scene, StepResult},
};

/// A valid card, a repeated request, a declined card, an invalid card.
pub(crate) async fn paying(runner: &ScenarioRunner, cast: &Cast) -> Scene {
    let (application, request_id) = (cast.application("tok_visa"), new_id());
    let good_card = good_card(cast, &application, &request_id);
    let enrollment = runner.step("Hana enrolls in a course and pays with tok_visa", good_card).await?;
    runner.step("She looks at her payment", payment(cast, &enrollment)).await?;
    let again = same_request(cast, &application, &request_id, &enrollment);
    runner.step("Her phone sends the same request again", again).await?;
    runner.step("It sends another enrollment with the same request_id", other_body(cast, &request_id)).await?;
    let declined = runner.step("Hana pays with tok_declined", declined_card(cast)).await?;
    runner.step("She is not enrolled, and not charged", not_enrolled(cast, &declined)).await?;
    runner.step("Hana pays with an invalid token", no_card(cast)).await
}

/// Payment fails, or its response is lost.
pub(crate) async fn unconfirmed(runner: &ScenarioRunner, cast: &Cast) -> Scene {
    for (token, which) in
        [("tok_error", "which fails before charging"), ("tok_lost", "which charges but loses the response")]
    {
        let enrollment = runner.step(&format!("Hana pays with {token}, {which}"), asked_to_wait(cast, token)).await?;
        let ended = rejected_and_voided(cast, &enrollment);
        runner.step(&format!("The enrollment with {token} is rejected and not charged"), ended).await?;
    }
    Ok(())
}

async fn good_card(cast: &Cast, application: &Enrollment, request_id: &str) -> StepResult<Enrollment> {
    let enrollment = cast.apply(application, request_id).await?;
    require_enrolled(&enrollment, application)?;
    let text = format!("{}, paid by {}", enrollment.describe(), enrollment.payment);
    Ok((enrollment, text))
}

async fn payment(cast: &Cast, enrollment: &Enrollment) -> StepResult<Payment> {
    let payment = cast.get_payment(GetPaymentRequest { name: enrollment.payment.clone() }).await?;
    let holds = |payment: &Payment| {
        matches!(payment.state(), PaymentState::Authorized | PaymentState::Captured)
            && payment.payable == enrollment.name
            && payment.amount == enrollment.fee
    };
    checked(payment, "AUTHORIZED or CAPTURED, the fee", holds)
}

async fn same_request(cast: &Cast, application: &Enrollment, request_id: &str, first: &Enrollment) -> StepResult<()> {
    let again = cast.apply(application, request_id).await?;
    ensure!(again == *first, "expected the first answer {first:?}, got {again:?}");
    Ok(((), "the same response; nothing is charged twice".to_owned()))
}

async fn other_body(cast: &Cast, request_id: &str) -> StepResult<()> {
    let other = Enrollment { course_title: "Another".to_owned(), ..cast.application("tok_visa") };
    let refusal = refused(cast.apply(&other, request_id).await)?;
    refusal.require(Code::FailedPrecondition, "REQUEST_ID_REUSED")?;
    Ok(((), refusal.to_string()))
}

async fn declined_card(cast: &Cast) -> StepResult<String> {
    let refusal = refused(cast.apply(&cast.application("tok_declined"), &new_id()).await)?;
    refusal.require(Code::FailedPrecondition, "PAYMENT_DECLINED")?;
    Ok((refusal.require_named("enrollment")?, refusal.to_string()))
}

async fn not_enrolled(cast: &Cast, name: &str) -> StepResult<()> {
    let enrollment = cast.get_enrollment(GetEnrollmentRequest { name: name.to_owned() }).await?;
    let (_, text) = checked(enrollment, "REJECTED", |enrollment| enrollment.state() == EnrollmentState::Rejected)?;
    let payment = cast.get_payment(GetPaymentRequest { name: payment_of(name) }).await?;
    let (_, held) = checked(payment, "nothing held", |payment| payment.state() == PaymentState::Declined)?;
    let registration = cast.get_registration(GetRegistrationRequest { name: registration_of(name) }).await;
    refused(registration)?.require(Code::NotFound, "NOT_FOUND")?;
    Ok(((), format!("{text}; {held}; nobody is registered")))
}

async fn no_card(cast: &Cast) -> StepResult<()> {
    let refusal = refused(cast.apply(&cast.application("tok_unheard_of"), &new_id()).await)?;
    let is_field = refusal.fields.iter().any(|field| field == "enrollment.payment_method");
    let holds = refusal.code == Code::InvalidArgument && is_field;
    ensure!(holds, "expected INVALID_ARGUMENT about enrollment.payment_method, got {refusal}");
    Ok(((), refusal.to_string()))
}

async fn asked_to_wait(cast: &Cast, token: &str) -> StepResult<String> {
    let refusal = refused(cast.apply(&cast.application(token), &new_id()).await)?;
    refusal.require_retry()?;
    Ok((refusal.require_named("enrollment")?, refusal.to_string()))
}

async fn rejected_and_voided(cast: &Cast, enrollment: &str) -> StepResult<()> {
    let rejected = cast.enrollment_becomes(enrollment, EnrollmentState::Rejected).await?;
    let voided = cast.payment_becomes(enrollment, PaymentState::Voided).await?;
    Ok(((), format!("{}; {}", rejected.describe(), voided.describe())))
}
