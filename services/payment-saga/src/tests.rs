//! What payment's answers mean, and what is told of them: by tables, without a payment.

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
    SEAT_NOT_TAKEN: FailedPrecondition, "Nobody could say whether the seat is paid.", "Take another.";
}

/// Something to be paid for, in any status.
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
    const NOT_MADE: &'static Reason = &SEAT_NOT_TAKEN;

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

    fn as_made(&self) -> Option<Self> {
        (self.0 == PaymentStatus::Made).then(|| self.clone())
    }

    fn stand(&self, _: &str, _: Time) -> Result<Decision<Self>, Error> {
        Decision::save(Self(PaymentStatus::Made))
    }

    fn give_up(&self, _: Time) -> Result<Decision<Self>, Error> {
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

fn held() -> Option<Outcome> {
    Some(Outcome::Held("payments/seat-12".to_owned()))
}

fn refused(reason: &str) -> Option<Outcome> {
    Some(Outcome::Refused(reason.to_owned()))
}

#[test]
fn a_payment_says_by_its_state_whether_the_money_is_held() {
    for (state, said) in [
        (PaymentState::Authorized, held()),
        (PaymentState::Captured, held()),
        (PaymentState::Declined, refused("INSUFFICIENT_FUNDS")),
        (PaymentState::Voided, refused(PAYMENT_UNCONFIRMED)),
        (PaymentState::Refunded, refused(PAYMENT_UNCONFIRMED)),
        (PaymentState::Unspecified, None),
    ] {
        assert_eq!(outcome_of_authorization(Ok(payment(state))).ok(), said, "{state:?} when authorized");
        assert_eq!(outcome_of_lookup(Ok(payment(state))).ok(), said, "{state:?} when asked");
    }
}

#[test]
fn only_a_clear_no_refuses_and_every_other_error_leaves_it_open() {
    for (code, reason, authorizing, asking) in [
        (Code::InvalidArgument, "INVALID_ARGUMENT", refused(INVALID_PAYMENT_METHOD), None),
        (Code::FailedPrecondition, "PAYMENT_VOIDED", refused(PAYMENT_UNCONFIRMED), None),
        (Code::FailedPrecondition, "REQUEST_ID_REUSED", None, None),
        (Code::NotFound, "NOT_FOUND", None, Some(Outcome::Unknown)),
        (Code::Unavailable, "DRILL_FAULT", None, None),
        (Code::DeadlineExceeded, "DEADLINE_EXCEEDED", None, None),
        (Code::ResourceExhausted, "OVERLOADED", None, None),
        (Code::PermissionDenied, "ROLE_MISSING", None, None),
        (Code::Internal, "INTERNAL", None, None),
        (Code::Unknown, "", None, None),
    ] {
        assert_eq!(outcome_of_authorization(Err(refusal(code, reason))).ok(), authorizing, "{code:?} {reason}");
        assert_eq!(outcome_of_lookup(Err(refusal(code, reason))).ok(), asking, "{code:?} {reason}");
    }
}

#[test]
fn whoever_asks_again_is_told_what_became_of_it() {
    assert_eq!(answer(&Seat(PaymentStatus::Made)).expect("it stands"), Seat(PaymentStatus::Made));
    for (status, code, reason) in [
        (PaymentStatus::Pending, Code::Unavailable, "PAYMENT_UNAVAILABLE"),
        (PaymentStatus::Voiding, Code::Unavailable, "PAYMENT_UNAVAILABLE"),
        (PaymentStatus::Rejected(PAYMENT_UNCONFIRMED), Code::FailedPrecondition, "SEAT_NOT_TAKEN"),
        (PaymentStatus::Rejected("INSUFFICIENT_FUNDS"), Code::FailedPrecondition, "PAYMENT_DECLINED"),
    ] {
        let told = answer(&Seat(status)).expect_err("it does not stand");
        assert_eq!((told.code, told.reason), (code, reason), "{status:?}");
        assert!(told.metadata.contains(&("seat", "seats/12".to_owned())), "{told:?} does not name it");
        assert_eq!(told.retry_after.is_some(), code == Code::Unavailable, "{told:?}");
    }
    let told = answer(&Seat(PaymentStatus::Rejected("INSUFFICIENT_FUNDS"))).expect_err("declined");
    assert!(told.metadata.contains(&("decline_reason", "INSUFFICIENT_FUNDS".to_owned())), "{told:?}");
    let told = answer(&Seat(PaymentStatus::Rejected(INVALID_PAYMENT_METHOD))).expect_err("no card");
    let fields: Vec<_> = told.violations.iter().map(|violation| violation.field.as_str()).collect();
    assert_eq!((told.code, fields), (Code::InvalidArgument, vec!["seat.payment_method"]));
}

#[test]
fn an_unclear_answer_is_told_with_when_to_come_again() {
    for (code, told, reason) in [
        (Code::Unavailable, Code::Unavailable, "PAYMENT_UNAVAILABLE"),
        (Code::Internal, Code::Unavailable, "PAYMENT_UNAVAILABLE"),
        (Code::Unknown, Code::Unavailable, "PAYMENT_UNAVAILABLE"),
        (Code::DeadlineExceeded, Code::DeadlineExceeded, "PAYMENT_TIMED_OUT"),
        (Code::ResourceExhausted, Code::ResourceExhausted, "PAYMENT_OVERLOADED"),
    ] {
        let error = unconfirmed(&Seat(PaymentStatus::Pending), &refusal(code, ""));
        assert_eq!((error.code, error.reason), (told, reason), "{code:?}");
        assert!(error.retry_after.is_some(), "{error:?}");
        assert!(error.metadata.contains(&("seat", "seats/12".to_owned())), "{error:?}");
    }
}

#[test]
fn whoever_knows_better_when_to_come_again_is_passed_on() {
    let later = Duration::from_millis(1234);
    let busy = Status::with_error_details(Code::ResourceExhausted, "no", ErrorDetails::with_retry_info(Some(later)));
    assert_eq!(unconfirmed(&Seat(PaymentStatus::Pending), &busy).retry_after, Some(later));
    let closed = Error::new(&jumun_core::reasons::CIRCUIT_OPEN, "not asked").retry_after(later);
    let told = not_asked::<Seat>(&closed);
    assert_eq!((told.reason, told.retry_after), ("PAYMENT_UNAVAILABLE", Some(later)));
    assert!(told.metadata.is_empty(), "nothing was made that could be named");
}
