//! Why the payment context refuses. That a card is declined is no error: it is a payment that is DECLINED.

jumun_core::reasons! {
    PAYABLE_HAS_PAYMENT: FailedPrecondition,
        "What is to be paid for has a payment of another amount or by other means.",
        "Get that payment.";
    PAYMENT_VOIDED: FailedPrecondition,
        "What is to be paid for was given up; nothing is held for it, now or later.",
        "Start over with something new to pay for.";
    PAYMENT_NOT_HELD: FailedPrecondition,
        "A payment is to be captured that is DECLINED or VOIDED; no caller sees this.",
        "Look into the dead letter.";
    PAYMENT_CAPTURED: FailedPrecondition,
        "A payment is to be voided that is taken already.",
        "Refund it.";
    PAYMENT_NOT_CAPTURED: FailedPrecondition,
        "A payment is to be refunded that was never taken; `state` says where it is.",
        "Nothing is to be given back.";
    PROVIDER_REFUSED: FailedPrecondition,
        "The provider's books do not allow it.",
        "Compare its books with ours (`jumun check`).";
    NOT_TAKEN_YET: Unavailable retry 2000 ms,
        "A refund overtook the capture of what it gives back.",
        "Repeat the request.";
    PROVIDER_FAILED: Unavailable retry 2000 ms,
        "The payment provider failed before it charged.",
        "Repeat the same request.";
    PROVIDER_TIMED_OUT: DeadlineExceeded retry 1000 ms,
        "The payment provider did not answer in time; it may have charged or not.",
        "Repeat the same request, to learn what became of it.";
}
