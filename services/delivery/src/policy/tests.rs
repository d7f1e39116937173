//! The effect of each event of a ticket.

use std::sync::Arc;

use contracts::store::v1::{
    CookingFinished, CookingStarted, TicketAccepted, TicketCancelled, TicketOpened, TicketRejected,
};
use engine::{Decide, Decision};
use jumun_core::{Envelope, EventKind};
use prost::Message as _;

use super::*;

#[tokio::test]
async fn an_accepted_ticket_schedules_a_delivery() {
    let clock = Clock::manual();
    let mut decide = decision(effect_of(&clock, "orders/7", Kind::Accepted(TicketAccepted {})).await);
    let Ok(Decision::Save(delivery, events)) = decide(None) else { panic!("nothing was scheduled") };
    assert_eq!(delivery, scheduled(&clock));
    assert_eq!(events.iter().map(EventKind::kind).collect::<Vec<_>>(), ["DeliveryScheduled"]);
    assert!(matches!(decide(Some(&delivery)), Ok(Decision::Leave)), "the same ticket schedules no second delivery");
}

#[tokio::test]
async fn a_cooked_ticket_makes_its_delivery_ready() {
    let clock = Clock::manual();
    let mut decide = decision(effect_of(&clock, "orders/7", Kind::CookingFinished(CookingFinished {})).await);
    let Ok(Decision::Save(delivery, events)) = decide(Some(&scheduled(&clock))) else { panic!("it is not ready") };
    assert_eq!((delivery.ready, events.len()), (true, 0));

    let missing = decide(None).expect_err("the ticket was accepted before");
    assert_eq!((missing.reason, missing.is_transient()), ("NOT_FOUND", false), "it becomes a dead letter");
}

#[tokio::test]
async fn a_cancelled_ticket_cancels_its_delivery_if_there_is_one() {
    let clock = Clock::manual();
    let mut decide = decision(effect_of(&clock, "orders/7", Kind::Cancelled(TicketCancelled {})).await);
    assert!(matches!(decide(None), Ok(Decision::Leave)), "the ticket was never accepted");
    let Ok(Decision::Save(delivery, _)) = decide(Some(&scheduled(&clock))) else { panic!("it was not cancelled") };
    assert_eq!(delivery.state, State::Cancelled);
}

#[tokio::test]
async fn other_events_are_ignored() {
    let ignored =
        [Kind::Opened(TicketOpened {}), Kind::Rejected(TicketRejected {}), Kind::CookingStarted(CookingStarted {})];
    for kind in ignored {
        let effect = effect_of(&Clock::manual(), "orders/7", kind).await;
        assert!(matches!(effect, Ok(EventEffect::Ignore)), "{kind:?}");
    }
}

#[tokio::test]
async fn an_event_without_its_order_becomes_a_dead_letter() {
    let applied = [
        Kind::Accepted(TicketAccepted {}),
        Kind::CookingFinished(CookingFinished {}),
        Kind::Cancelled(TicketCancelled {}),
    ];
    for kind in applied {
        let error = effect_of(&Clock::manual(), "seven", kind).await.err().expect("it is refused");
        assert_eq!((error.reason, error.is_transient()), ("UNREADABLE_EVENT", false), "{kind:?}");
    }
}

async fn effect_of(clock: &Clock, order: &str, kind: Kind) -> Result<EventEffect<Delivery>, Error> {
    let event = TicketEvent { order: order.to_owned(), store: "stores/gangnam".to_owned(), kind: Some(kind) };
    let message = Envelope {
        context: "store".to_owned(),
        sequence: 0,
        aggregate: "7".to_owned(),
        number: 1,
        kind: String::new(),
        payload: event.encode_to_vec(),
        time: clock.now(),
        traceparent: None,
        causation: None,
    };
    on_ticket_event(clock)(Arc::new(message)).await
}

fn decision(effect: Result<EventEffect<Delivery>, Error>) -> Decide<Delivery> {
    match effect {
        Ok(EventEffect::Decide(id, decide)) if id == "7" => decide,
        _ => panic!("no decision upon the ticket's delivery"),
    }
}

fn scheduled(clock: &Clock) -> Delivery {
    Delivery {
        id: "7".to_owned(),
        store: "stores/gangnam".to_owned(),
        rider: String::new(),
        state: State::Scheduled,
        ready: false,
        create_time: clock.now(),
        update_time: clock.now(),
    }
}
