//! Requirements §1.4, sentences 2 and 3: cancelling works while notification is down, and a view lists the
//! registrations.

use std::time::Duration;

use contracts::customer::v1::customer::State;
use engine::{storage::Record, storage::select};
use jumun_core::{Envelope, reason_of};
use tonic::Code;

use super::{
    cleaning::{customer_named_by, person},
    food::{ABANDONED, Food},
};

const NOTICES: [&str; 2] = ["Welcome to Jumun: you are being registered.", "Your registration is cancelled."];
/// Longer than the first attempt of a notice waits.
const SOON: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_customer_cancels_while_notification_is_down_and_the_notice_follows_once() {
    let mut food = Food::open().await;
    let customer = food.register("first", &person("mina")).await.expect("reached").name;
    food.cluster.advance(SOON).await;
    food.cluster.restart_without(&["notification"]).await;
    let cancelled = food.unregister(&customer, "cancel").await.expect("notification is not needed");
    assert_eq!(cancelled.state(), State::Cancelled);
    food.cluster.restart().await;
    for _ in 0..3 {
        food.cluster.advance(SOON).await;
    }
    assert_eq!(food.phone("mina").await, NOTICES);
    // The events are delivered again and the recovery runs again: each notice is sent once.
    food.cluster.lose_streams().await;
    food.cluster.restart().await;
    food.cluster.advance(ABANDONED).await;
    assert_eq!(food.unregister(&customer, "cancel").await.expect("the same answer"), cancelled);
    food.cluster.advance(ABANDONED).await;
    assert_eq!(food.phone("mina").await, NOTICES);
    food.close().await;
}

#[tokio::test]
async fn a_notice_that_fails_is_tried_again_less_and_less_often_and_given_up_in_the_end() {
    let food = Food::open().await;
    let customer = food.register("first", &person("lost-mina")).await.expect_err("the answer is lost");
    let customer = customer_named_by(&customer);
    food.cluster.advance(ABANDONED).await;
    food.cluster.advance(ABANDONED).await;
    food.unregister(&customer, "").await.expect("registered");
    food.cluster.advance(SOON).await;
    let attempted = food.states("notification", "notification", "notifications").await;
    assert_eq!(attempted.values().filter(|state| *state == "PENDING").count(), 1, "{attempted:?}");
    assert_eq!(food.phone("lost-mina").await, NOTICES, "it arrived, but the outcome is still unknown");
    food.cluster.advance(Duration::from_secs(25 * 3600)).await;
    let given_up = food.states("notification", "notification", "notifications").await;
    assert_eq!(given_up.values().filter(|state| *state == "FAILED").count(), 1, "{given_up:?}");
    assert_eq!(food.phone("lost-mina").await, NOTICES, "once");
    food.close().await;
}

#[tokio::test]
async fn a_registration_that_was_rejected_cannot_be_cancelled() {
    let food = Food::open().await;
    let rejected = food.register("first", &person("blocked-mina")).await.expect_err("blocked");
    let error = food.unregister(&customer_named_by(&rejected), "").await.expect_err("never registered");
    assert_eq!((error.code(), reason_of(&error).as_str()), (Code::FailedPrecondition, "CUSTOMER_NOT_CANCELLABLE"));
    let pending = food.register("second", &person("failing-mina")).await.expect_err("failing");
    let error = food.unregister(&customer_named_by(&pending), "").await.expect_err("not yet");
    assert_eq!(reason_of(&error), "CUSTOMER_PENDING");
    food.cluster.advance(ABANDONED).await;
    food.cluster.advance(ABANDONED).await;
    food.close().await;
}

#[tokio::test]
async fn a_view_lists_the_registrations_with_their_state_and_history() {
    let food = Food::open().await;
    let mina = food.register("first", &person("mina")).await.expect("reached").name;
    food.register("second", &person("blocked-joon")).await.expect_err("blocked");
    food.cluster.advance(SOON).await;
    food.unregister(&mina, "").await.expect("registered");
    food.cluster.settle().await;
    food.cluster.advance(SOON).await;

    let views = food.customer_views("").await;
    let states: Vec<_> = views.iter().map(|view| (view.account.as_str(), view.state.as_str())).collect();
    assert_eq!(states, [("customers/blocked-joon", "REJECTED"), ("customers/mina", "CANCELLED")]);
    let view = food.customer_views("state = CANCELLED").await.remove(0);
    let mut history: Vec<_> = view.history.iter().map(|entry| entry.state.as_str()).collect();
    // Events of the same millisecond have no order.
    history[..2].sort_unstable();
    let expected = [
        "CUSTOMER_REGISTERED",
        "CUSTOMER_REGISTERED_NOTICE_DELIVERED",
        "CUSTOMER_CANCELLED",
        "CUSTOMER_CANCELLED_NOTICE_DELIVERED",
    ];
    assert_eq!((history.as_slice(), view.customer), (expected.as_slice(), mina));
    food.close().await;
}

#[tokio::test]
async fn no_phone_address_age_or_name_is_in_any_event() {
    let food = Food::open().await;
    let customer = food.register("first", &person("mina")).await.expect("reached").name;
    food.unregister(&customer, "").await.expect("registered");
    food.cluster.advance(SOON).await;
    let mut events = 0;
    for context in ["customer", "notification", "dashboard"] {
        let database = food.cluster.database(context, context);
        let read = database.read(move |connection| {
            connection
                .query(&select::<Envelope>(&["seq"]), &[])?
                .iter_mut()
                .map(|row| Envelope::from_row((context.to_owned(), row.int()?), row))
                .collect::<Result<Vec<_>, _>>()
        });
        for event in read.await.expect("readable events") {
            events += 1;
            let text = String::from_utf8_lossy(&event.payload).into_owned();
            for secret in ["010-1234-5678", "Gangnam-daero", "Kim Mina"] {
                assert!(!text.contains(secret), "{}: {text:?}", event.id());
            }
        }
    }
    assert_eq!(events, 4, "registered, welcomed, cancelled, notified");
    food.close().await;
}
