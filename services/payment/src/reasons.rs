//! Errors of the payment context. A declined card is not an error: the payment is DECLINED.

jumun_core::reasons! {
    PAYABLE_HAS_PAYMENT: FailedPrecondition,
        "The order or enrollment has a payment of another amount or by another payment method.",
        "Get that payment.";
    PAYMENT_VOIDED: FailedPrecondition,
        "The payment was voided; nothing is held for the order or enrollment, now or later.",
        "Create a new order or enrollment.";
    PAYMENT_NOT_HELD: FailedPrecondition,
        "A DECLINED or VOIDED payment cannot be captured; no caller sees this.",
        "Inspect the dead letter.";
    PAYMENT_CAPTURED: FailedPrecondition,
        "A captured payment cannot be voided.",
        "Refund it.";
    PAYMENT_NOT_CAPTURED: FailedPrecondition,
        "A payment that was not captured cannot be refunded; `state` contains its state.",
        "Nothing needs to be refunded.";
    PROVIDER_REFUSED: FailedPrecondition,
        "The provider's ledger does not allow the operation.",
        "Compare its ledger with the payments (`jumun check`).";
    NOT_TAKEN_YET: Unavailable retry 2000 ms,
        "The refund reached the provider before the capture.",
        "Repeat the request.";
    PROVIDER_FAILED: Unavailable retry 2000 ms,
        "The payment provider failed before it charged.",
        "Repeat the same request.";
    PROVIDER_TIMED_OUT: DeadlineExceeded retry 1000 ms,
        "The payment provider did not answer in time; it may or may not have charged.",
        "Repeat the same request to get the result.";
}
