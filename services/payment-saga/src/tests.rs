//! What payment's answers mean, and the errors for callers: by tables, without the payment context.

use std::time::Duration;

use contracts::payment::v1::{Payment, payment::State as PaymentState};
use engine::{Aggregate, Decision, Owner, Stored, storage};
use jumun_core::{Error, Money, Reason, Time};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::{
    INVALID_PAYMENT_METHOD, PAYMENT_UNCONFIRMED, Payable, PaymentStatus,
    answer::{answer, not_asked, unconfirmed},
    authorization::{Outcome, outcome_of_authorization, outcome_of_lookup},
};

jumun_core::reasons! {
    SEAT_NOT_TAKEN: FailedPrecondition, "It is unknown whether the seat is paid.", "Choose another.";
}

/// A payable in any status.
#[derive(Clone, Debug, PartialEq)]
struct Seat(PaymentStatus<'static>);

impl Aggregate for Seat {
    type Event = ();
    type Resource = ();

    fn id(&self) -> &str {
        "12"
    }

    fn resource(&self) {}
}

impl Stored for Seat {
    const OWNERS: &'static [Owner<Self>] = &[];
}

impl storage::Record for Seat {
    const TABLE: storage::Table = storage::Table { name: "seats", columns: &[] };
    type Given = String;

    fn to_row(&self) -> Vec<storage::Value<'_>> {
        Vec::new()
    }

    fn from_row(_: String, _: &mut storage::Row) -> Result<Self, storage::StorageError> {
        Ok(Self(PaymentStatus::Pending))
    }
}

impl Payable for Seat {
    const KIND: &'static str = "seat";
    const UNCONFIRMED: &'static Reason = &SEAT_NOT_TAKEN;

    fn name(&self) -> String {
        "seats/12".to_owned()
    }

    fn amount(&self) -> Money {
        Money::new("KRW", 5).expect("a currency")
    }

    fn payment_method(&self) -> &str {
        "tok_visa"
    }

    fn payment_status(&self) -> PaymentStatus<'_> {
        self.0
    }

    fn as_confirmed(&self) -> Option<Self> {
        (self.0 == PaymentStatus::Confirmed).then(|| self.clone())
    }

    fn confirm(&self, _: &str, _: Time) -> Result<Decision<Self>, Error> {
        Decision::save(Self(PaymentStatus::Confirmed))
    }

    fn start_voiding(&self, _: Time) -> Result<Decision<Self>, Error> {
        Decision::save(Self(PaymentStatus::Voiding))
    }

    fn reject(&self, _: &str, _: Time) -> Result<Decision<Self>, Error> {
        Decision::save(Self(PaymentStatus::Rejected(PAYMENT_UNCONFIRMED)))
    }
}

fn payment(state: PaymentState) -> Payment {
    let (name, decline_reason) = ("payments/seat-12".to_owned(), "INSUFFICIENT_FUNDS".to_owned());
    Payment { name, state: state.into(), decline_reason, ..Payment::default() }
}

fn refusal(code: Code, reason: &str) -> Status {
    Status::with_error_details(code, "no", ErrorDetails::with_error_info(reason, "jumun.dev", []))
}

fn authorized() -> Option<Outcome> {
    Some(Outcome::Authorized("payments/seat-12".to_owned()))
}

fn refused(reason: &str) -> Option<Outcome> {
    Some(Outcome::Refused(reason.to_owned()))
}

#[test]
fn the_state_of_a_payment_determines_whether_the_money_is_held() {
    for (state, expected) in [
        (PaymentState::Authorized, authorized()),
        (PaymentState::Captured, authorized()),
        (PaymentState::Declined, refused("INSUFFICIENT_FUNDS")),
        (PaymentState::Voided, refused(PAYMENT_UNCONFIRMED)),
        (PaymentState::Refunded, refused(PAYMENT_UNCONFIRMED)),
        (PaymentState::Unspecified, None),
    ] {
        assert_eq!(outcome_of_authorization(Ok(payment(state))).ok(), expected, "{state:?} when authorized");
        assert_eq!(outcome_of_lookup(Ok(payment(state))).ok(), expected, "{state:?} when looked up");
    }
}

#[test]
fn only_a_clear_refusal_is_an_outcome_and_every_other_error_leaves_it_unknown() {
    for (code, reason, authorizing, looking_up) in [
        (Code::InvalidArgument, "INVALID_ARGUMENT", refused(INVALID_PAYMENT_METHOD), None),
        (Code::FailedPrecondition, "PAYMENT_VOIDED", refused(PAYMENT_UNCONFIRMED), None),
        (Code::FailedPrecondition, "REQUEST_ID_REUSED", None, None),
        (Code::NotFound, "NOT_FOUND", None, Some(Outcome::NotFound)),
        (Code::Unavailable, "DRILL_FAULT", None, None),
        (Code::DeadlineExceeded, "DEADLINE_EXCEEDED", None, None),
        (Code::ResourceExhausted, "OVERLOADED", None, None),
        (Code::PermissionDenied, "ROLE_MISSING", None, None),
        (Code::Internal, "INTERNAL", None, None),
        (Code::Unknown, "", None, None),
    ] {
        assert_eq!(outcome_of_authorization(Err(refusal(code, reason))).ok(), authorizing, "{code:?} {reason}");
        assert_eq!(outcome_of_lookup(Err(refusal(code, reason))).ok(), looking_up, "{code:?} {reason}");
    }
}

#[test]
fn a_repeated_request_returns_the_result() {
    assert_eq!(answer(&Seat(PaymentStatus::Confirmed)).expect("it is confirmed"), Seat(PaymentStatus::Confirmed));
    for (status, code, reason) in [
        (PaymentStatus::Pending, Code::Unavailable, "PAYMENT_UNAVAILABLE"),
        (PaymentStatus::Voiding, Code::Unavailable, "PAYMENT_UNAVAILABLE"),
        (PaymentStatus::Rejected(PAYMENT_UNCONFIRMED), Code::FailedPrecondition, "SEAT_NOT_TAKEN"),
        (PaymentStatus::Rejected("INSUFFICIENT_FUNDS"), Code::FailedPrecondition, "PAYMENT_DECLINED"),
    ] {
        let error = answer(&Seat(status)).expect_err("it is not confirmed");
        assert_eq!((error.code, error.reason), (code, reason), "{status:?}");
        assert!(error.metadata.contains(&("seat", "seats/12".to_owned())), "{error:?} does not name it");
        assert_eq!(error.retry_after.is_some(), code == Code::Unavailable, "{error:?}");
    }
    let error = answer(&Seat(PaymentStatus::Rejected("INSUFFICIENT_FUNDS"))).expect_err("declined");
    assert!(error.metadata.contains(&("decline_reason", "INSUFFICIENT_FUNDS".to_owned())), "{error:?}");
    let error = answer(&Seat(PaymentStatus::Rejected(INVALID_PAYMENT_METHOD))).expect_err("no card");
    let fields: Vec<_> = error.violations.iter().map(|violation| violation.field.as_str()).collect();
    assert_eq!((error.code, fields), (Code::InvalidArgument, vec!["seat.payment_method"]));
}

#[test]
fn an_unknown_outcome_is_reported_with_a_retry_delay() {
    for (code, reported, reason) in [
        (Code::Unavailable, Code::Unavailable, "PAYMENT_UNAVAILABLE"),
        (Code::Internal, Code::Unavailable, "PAYMENT_UNAVAILABLE"),
        (Code::Unknown, Code::Unavailable, "PAYMENT_UNAVAILABLE"),
        (Code::DeadlineExceeded, Code::DeadlineExceeded, "PAYMENT_TIMED_OUT"),
        (Code::ResourceExhausted, Code::ResourceExhausted, "PAYMENT_OVERLOADED"),
    ] {
        let error = unconfirmed(&Seat(PaymentStatus::Pending), &refusal(code, ""));
        assert_eq!((error.code, error.reason), (reported, reason), "{code:?}");
        assert!(error.retry_after.is_some(), "{error:?}");
        assert!(error.metadata.contains(&("seat", "seats/12".to_owned())), "{error:?}");
    }
}

#[test]
fn the_retry_delay_of_the_called_context_is_passed_on() {
    let later = Duration::from_millis(1234);
    let busy = Status::with_error_details(Code::ResourceExhausted, "no", ErrorDetails::with_retry_info(Some(later)));
    assert_eq!(unconfirmed(&Seat(PaymentStatus::Pending), &busy).retry_after, Some(later));
    let circuit_open = Error::new(&jumun_core::reasons::CIRCUIT_OPEN, "not called").retry_after(later);
    let error = not_asked::<Seat>(&circuit_open);
    assert_eq!((error.reason, error.retry_after), ("PAYMENT_UNAVAILABLE", Some(later)));
    assert!(error.metadata.is_empty(), "nothing was created that could be named");
}
