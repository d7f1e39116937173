//! Every rule of a payment in every state.

use jumun_core::EventKind;

use super::*;

const REQUESTED: Time = Time(1_000_000);
const NOW: Time = Time(2_000_000);

/// The effect of a rule on a payment.
#[derive(Debug, PartialEq)]
enum Outcome {
    /// Nothing changes.
    Left,
    /// It is saved in this state, with this event.
    Announced(State, &'static str),
    /// The rule returns this error.
    Refused(&'static str),
}

use Outcome::{Announced, Left, Refused};

type Act = fn(&Payment) -> Result<Decision<Payment>, Error>;

#[test]
fn every_rule_has_its_outcome_in_every_state() {
    let captured = || Announced(State::Captured, "PaymentCaptured");
    let voided = || Announced(State::Voided, "PaymentVoided");
    let refunded = || Announced(State::Refunded, "PaymentRefunded");
    let other_payment = || Refused("PAYABLE_HAS_PAYMENT");
    let voided_already = || Refused("PAYMENT_VOIDED");
    let not_held = || Refused("PAYMENT_NOT_HELD");
    let captured_already = || Refused("PAYMENT_CAPTURED");
    let not_captured = || Refused("PAYMENT_NOT_CAPTURED");

    #[rustfmt::skip]
    let table: [(&str, Act, [Outcome; 5]); 6] = [
        //                                                                                          AUTHORIZED       DECLINED         CAPTURED            VOIDED            REFUNDED
        ("authorize again", |payment| authorize(Some(payment), &requested()),                     [Left,            Left,            Left,               voided_already(), Left]),
        ("authorize differently", |payment| authorize(Some(payment), &different()),               [other_payment(), other_payment(), other_payment(),    voided_already(), other_payment()]),
        ("decline again", |payment| Payment::authorize(Some(payment), &requested(), &declined()), [Left,            Left,            Left,               voided_already(), Left]),
        ("capture", |payment| payment.capture(NOW),                                               [captured(),      not_held(),      Left,               not_held(),       Left]),
        ("void", |payment| Payment::void(Some(payment), &tombstone()),                            [voided(),        Left,            captured_already(), Left,             captured_already()]),
        ("refund", |payment| payment.refund(NOW),                                                 [not_captured(),  not_captured(),  refunded(),         not_captured(),   Left]),
    ];

    for (what, act, outcomes) in table {
        assert_eq!(State::ALL.len(), outcomes.len());
        for ((state, name), expected) in State::names().zip(outcomes) {
            let before = payment(state);
            assert_eq!(outcome(&before, act(&before)), expected, "{what} when {name}");
        }
    }
}

#[test]
fn a_payable_without_a_payment_is_authorized_declined_or_voided() {
    let announced = |kind, payment: &Payment| pb::PaymentEvent {
        payable: "orders/7".to_owned(),
        amount: payment.amount.map(Into::into),
        kind: Some(kind),
    };
    let declined_payment = Payment { decline_reason: "INSUFFICIENT_FUNDS".to_owned(), ..payment(State::Declined) };
    let reason = "INSUFFICIENT_FUNDS".to_owned();
    for (decided, after, kind) in [
        (authorize(None, &requested()), payment(State::Authorized), Kind::Authorized(pb::PaymentAuthorized {})),
        (
            Payment::authorize(None, &requested(), &declined()),
            declined_payment,
            Kind::Declined(pb::PaymentDeclined { reason }),
        ),
        (Payment::void(None, &tombstone()), tombstone(), Kind::Voided(pb::PaymentVoided {})),
    ] {
        let Ok(Decision::Save(saved, events)) = decided else { panic!("no event {kind:?}") };
        assert_eq!(events, [announced(kind, &after)]);
        assert_eq!(saved, after);
    }
}

#[test]
fn a_late_authorization_is_refused_by_the_tombstone() {
    let error = authorize(Some(&tombstone()), &requested()).expect_err("it is void");
    assert_eq!((error.code, error.reason), (tonic::Code::FailedPrecondition, "PAYMENT_VOIDED"));
    assert!(matches!(Payment::void(Some(&tombstone()), &tombstone()), Ok(Decision::Leave)));
}

#[test]
fn authorize_payment_answers_with_the_first_outcome_whatever_the_state() {
    for (state, name) in State::names() {
        let state_then = if state == State::Declined { State::Declined } else { State::Authorized };
        let now = Payment { update_time: NOW, ..payment(state) };
        let expected = Payment { state: state_then, update_time: REQUESTED, ..now.clone() };
        assert_eq!(now.as_authorized(), expected, "{name}");
    }
}

#[test]
fn a_payables_one_payment_is_named_after_it() {
    for (payable, id) in [
        ("orders/7", Some("order-7")),
        ("enrollments/a-1", Some("enrollment-a-1")),
        ("orders", None),
        ("order/7", None),
        ("", None),
    ] {
        assert_eq!(payment_id(payable).as_deref(), id, "{payable:?}");
    }
}

#[test]
fn a_caller_sees_the_whole_payment_in_every_state() {
    for (state, name) in State::names() {
        let seen = Payment { update_time: NOW, ..payment(state) }.resource();
        let expected = pb::Payment {
            name: "payments/order-7".to_owned(),
            payable: "orders/7".to_owned(),
            amount: Some(contracts::Money { currency_code: "KRW".to_owned(), units: 22_000, nanos: 0 }),
            payment_method: "tok_visa".to_owned(),
            state: pb::payment::State::from_str_name(name).expect("the contract knows the state").into(),
            decline_reason: String::new(),
            create_time: Some(REQUESTED.to_timestamp()),
            update_time: Some(NOW.to_timestamp()),
        };
        assert_eq!(seen, expected, "{name}");
    }
    assert_eq!(tombstone().resource().amount, None);
}

/// The outcome of a decision; checks what holds for every decision.
fn outcome(before: &Payment, decided: Result<Decision<Payment>, Error>) -> Outcome {
    match decided {
        Ok(Decision::Leave) => Left,
        Ok(Decision::Save(after, events)) => {
            assert_eq!(after, Payment { state: after.state, update_time: NOW, ..before.clone() });
            let [event] = events.as_slice() else { panic!("one event, not {events:?}") };
            assert_eq!((event.payable.as_str(), &event.amount), ("orders/7", &before.amount.map(Into::into)));
            assert!(!format!("{event:?}").contains("tok_"), "{event:?}");
            Announced(after.state, EventKind::kind(event))
        }
        Err(error) => {
            assert_eq!(error.code, tonic::Code::FailedPrecondition);
            Refused(error.reason)
        }
    }
}

fn authorize(existing: Option<&Payment>, requested: &Payment) -> Result<Decision<Payment>, Error> {
    Payment::authorize(existing, requested, &Verdict::Approved)
}

fn declined() -> Verdict {
    Verdict::Declined("INSUFFICIENT_FUNDS".to_owned())
}

/// The requested payment.
fn requested() -> Payment {
    payment(State::Authorized)
}

/// Another one for the same payable.
fn different() -> Payment {
    Payment { fingerprint: "another".to_owned(), ..requested() }
}

fn payment(state: State) -> Payment {
    Payment {
        id: "order-7".to_owned(),
        payable: "orders/7".to_owned(),
        amount: Money::new("KRW", 22_000).ok(),
        payment_method: "tok_visa".to_owned(),
        fingerprint: "one".to_owned(),
        state,
        decline_reason: String::new(),
        create_time: REQUESTED,
        update_time: REQUESTED,
    }
}

/// A payment that was voided before it was authorized.
fn tombstone() -> Payment {
    Payment {
        amount: None,
        payment_method: String::new(),
        fingerprint: String::new(),
        create_time: NOW,
        update_time: NOW,
        ..payment(State::Voided)
    }
}
