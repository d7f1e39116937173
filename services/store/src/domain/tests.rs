//! Every rule of a ticket in every state.

use jumun_core::EventKind;

use super::*;

const OPENED: Time = Time(1_000_000);
const NOW: Time = Time(2_000_000);

/// The effect of a rule on a ticket.
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

type Act = fn(&Ticket) -> Result<Decision<Ticket>, Error>;

#[test]
fn every_rule_has_its_outcome_in_every_state() {
    let not_open = || Refused("TICKET_NOT_OPEN");
    let not_accepted = || Refused("TICKET_NOT_ACCEPTED");
    let not_cooking = || Refused("TICKET_NOT_COOKING");
    let accepted = || Announced(State::Accepted, "TicketAccepted");
    let rejected = || Announced(State::Rejected, "TicketRejected");
    let started = || Announced(State::Cooking, "CookingStarted");
    let finished = || Announced(State::Cooked, "CookingFinished");
    let cancelled = || Announced(State::Cancelled, "TicketCancelled");

    #[rustfmt::skip]
    let table: [(&str, Act, [Outcome; 6]); 6] = [
        //                                                         OPEN            ACCEPTED       REJECTED        COOKING         COOKED          CANCELLED
        ("open", |ticket| Ticket::open(Some(ticket), &opened()), [Left,           Left,          Left,           Left,           Left,           Left]),
        ("accept", |ticket| ticket.accept(NOW),                  [accepted(),     not_open(),    not_open(),     not_open(),     not_open(),     not_open()]),
        ("reject", |ticket| ticket.reject(NOW),                  [rejected(),     not_open(),    not_open(),     not_open(),     not_open(),     not_open()]),
        ("startCooking", |ticket| ticket.start_cooking(NOW),     [not_accepted(), started(),     not_accepted(), not_accepted(), not_accepted(), not_accepted()]),
        ("finishCooking", |ticket| ticket.finish_cooking(NOW),   [not_cooking(),  not_cooking(), not_cooking(),  finished(),     not_cooking(),  not_cooking()]),
        ("cancel", |ticket| Ticket::cancel(Some(ticket), NOW),   [cancelled(),    cancelled(),   Left,           cancelled(),    cancelled(),    Left]),
    ];

    for (what, act, outcomes) in table {
        assert_eq!(State::ALL.len(), outcomes.len());
        for ((state, name), expected) in State::names().zip(outcomes) {
            let before = Ticket { state, ..opened() };
            assert_eq!(outcome(&before, act(&before)), expected, "{what} when {name}");
        }
    }
}

#[test]
fn an_order_without_a_ticket_gets_one_when_it_is_placed_and_none_when_it_is_cancelled() {
    let Ok(Decision::Save(ticket, events)) = Ticket::open(None, &opened()) else { panic!("it was not opened") };
    assert_eq!(ticket, opened());
    assert_eq!(events, [opened().event(Kind::Opened(pb::TicketOpened {}))]);
    assert!(matches!(Ticket::cancel(None, NOW), Ok(Decision::Leave)));
}

#[test]
fn a_caller_sees_the_whole_ticket_in_every_state() {
    for (state, name) in State::names() {
        let seen = Ticket { state, update_time: NOW, ..opened() }.resource();
        let expected = pb::Ticket {
            name: "tickets/7".to_owned(),
            order: "orders/7".to_owned(),
            store: "stores/gangnam".to_owned(),
            items: vec![pb::ticket::Item { item: "items/bibimbap".to_owned(), quantity: 2 }],
            state: pb::ticket::State::from_str_name(name).expect("the contract knows the state").into(),
            create_time: Some(OPENED.to_timestamp()),
            update_time: Some(NOW.to_timestamp()),
        };
        assert_eq!(seen, expected);
    }
}

/// The outcome of a decision; checks what holds for every decision.
fn outcome(before: &Ticket, decided: Result<Decision<Ticket>, Error>) -> Outcome {
    match decided {
        Ok(Decision::Leave) => Left,
        Ok(Decision::Save(after, events)) => {
            assert_eq!(after, Ticket { state: after.state, update_time: NOW, ..before.clone() });
            let [event] = events.as_slice() else { panic!("one event, not {events:?}") };
            assert_eq!((event.order.as_str(), event.store.as_str()), ("orders/7", "stores/gangnam"));
            Announced(after.state, EventKind::kind(event))
        }
        Err(error) => {
            assert_eq!(error.code, tonic::Code::FailedPrecondition);
            assert_eq!(error.metadata, [("state", before.state.name().to_owned())]);
            Refused(error.reason)
        }
    }
}

fn opened() -> Ticket {
    Ticket {
        id: "7".to_owned(),
        store: "stores/gangnam".to_owned(),
        items: vec![Item { item: "items/bibimbap".to_owned(), quantity: 2 }],
        state: State::Open,
        create_time: OPENED,
        update_time: OPENED,
    }
}
