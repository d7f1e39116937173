//! Errors of requests that need a payment. ErrorInfo's metadata names the payable, e.g. as `order`.

jumun_core::reasons! {
    PAYMENT_DECLINED: FailedPrecondition,
        "The payment was declined for `decline_reason`; the order or enrollment is REJECTED and nothing is charged.",
        "Repeat it with another payment method and a new `request_id`.";
    PAYMENT_UNAVAILABLE: Unavailable retry 2000 ms,
        "Payment cannot be reached. The order or enrollment, if named, is still pending; otherwise none was created.",
        "Repeat the same request, with the same `request_id`, to get the result.";
    PAYMENT_TIMED_OUT: DeadlineExceeded retry 2000 ms,
        "Payment did not answer in time; the order or enrollment that is named is still pending.",
        "Repeat the same request, with the same `request_id`, to get the result.";
    PAYMENT_OVERLOADED: ResourceExhausted retry 2000 ms,
        "Payment is overloaded; the order or enrollment that is named is still pending.",
        "Repeat the same request, with the same `request_id`, less often.";
}
