//! Requirements §1.4, sentence 1: the notification is delivered before the answer, or the customer is not registered.

use std::time::{Duration, Instant};

use contracts::{
    customer::v1::{Customer, customer::State},
    notification::v1::notification::State as NotificationState,
};
use futures::{StreamExt, future::join_all, stream};
use jumun_core::reason_of;
use tonic::Code;
use tonic_types::StatusExt;

use super::{
    cleaning::{customer_named_by, person, put_off},
    food::{ABANDONED, Food, LATE},
};

/// More than the channel's bulkhead admits and queues.
const MANY: usize = 1_700;
/// Everything is settled within this time (rule L1).
const RECOVERY: Duration = Duration::from_secs(30);
const POLL_INTERVAL: Duration = Duration::from_millis(200);
const ONE_WELCOME: [&str; 1] = ["Welcome to Jumun: you are being registered."];

#[tokio::test]
async fn a_customer_registers_and_the_notification_was_delivered_before_the_answer() {
    let food = Food::open().await;
    let asked = person("mina");
    let customer = food.register("first", &asked).await.expect("reached");
    assert_eq!(customer.state(), State::Registered);
    assert_eq!(food.phone("mina").await, ONE_WELCOME);
    assert_eq!(food.welcome(&customer).await.expect("the welcome").state(), NotificationState::Delivered);
    let given = |customer: &Customer| {
        let Customer { display_name, address, age, phone, account, .. } = customer.clone();
        (display_name, address, age, phone, account)
    };
    assert_eq!(given(&customer), given(&asked));
    food.close().await;
}

#[tokio::test]
async fn a_customer_that_the_notification_does_not_reach_is_not_registered() {
    let food = Food::open().await;
    let error = food.register("first", &person("blocked-mina")).await.expect_err("messages are blocked");
    assert_eq!((error.code(), reason_of(&error).as_str()), (Code::FailedPrecondition, "CUSTOMER_NOT_REACHED"));
    let info = error.get_details_error_info().expect("an ErrorInfo");
    assert_eq!(info.metadata["refusal"], "RECIPIENT_BLOCKED");
    let customer = food.customer(&customer_named_by(&error)).await;
    assert_eq!((customer.state(), customer.state_reason.as_str()), (State::Rejected, "RECIPIENT_BLOCKED"));
    assert_eq!(food.phone("blocked-mina").await, [""; 0]);
    let again = food.register("first", &person("blocked-mina")).await.expect_err("the same answer");
    assert_eq!((again.code(), again.message()), (error.code(), error.message()));
    food.close().await;
}

#[tokio::test]
async fn a_slow_notification_is_waited_for() {
    let food = Food::open().await;
    let customer = food.register("first", &person("slow-mina")).await.expect("reached, in the end");
    assert_eq!(customer.state(), State::Registered);
    assert_eq!(food.phone("slow-mina").await, ONE_WELCOME);
    food.close().await;
}

#[tokio::test]
async fn when_the_channel_fails_the_customer_is_not_registered_and_nothing_arrives_later() {
    unregistered("failing-mina", Code::Unavailable, "NOTIFICATION_UNAVAILABLE").await;
}

#[tokio::test]
async fn when_the_notification_comes_too_late_it_meets_the_tombstone() {
    unregistered("late-mina", Code::DeadlineExceeded, "NOTIFICATION_TIMED_OUT").await;
}

async fn unregistered(account: &str, code: Code, reason: &str) {
    let food = Food::open().await;
    let error = food.register("first", &person(account)).await.expect_err("the outcome is unknown");
    let name = put_off(&error, code, reason);
    assert_eq!(food.customer(&name).await.state(), State::Pending);
    food.cluster.advance(ABANDONED).await;
    food.cluster.advance(ABANDONED).await;
    let customer = food.customer(&name).await;
    assert_eq!((customer.state(), customer.state_reason.as_str()), (State::Rejected, "NOTIFICATION_UNCONFIRMED"));
    assert_eq!(food.welcome(&customer).await.expect("a tombstone").state(), NotificationState::Withdrawn);
    food.cluster.advance(LATE).await;
    assert_eq!(food.phone(account).await, [""; 0]);
    let error = food.register("first", &person(account)).await.expect_err("the same answer from now on");
    assert_eq!((error.code(), reason_of(&error).as_str()), (Code::Aborted, "CUSTOMER_NOT_REGISTERED"));
    food.close().await;
}

#[tokio::test]
async fn when_notification_is_killed_between_delivery_and_answer_the_customer_is_registered_and_welcomed_once() {
    let mut food = Food::open().await;
    let error = food.register("first", &person("lost-mina")).await.expect_err("the answer is lost");
    let name = put_off(&error, Code::DeadlineExceeded, "NOTIFICATION_TIMED_OUT");
    food.cluster.restart().await;
    food.cluster.advance(ABANDONED).await;
    food.cluster.advance(ABANDONED).await;
    assert_eq!(food.customer(&name).await.state(), State::Registered);
    assert_eq!(food.phone("lost-mina").await, ONE_WELCOME);
    let repeated = food.register("first", &person("lost-mina")).await.expect("registered");
    assert_eq!((repeated.name.as_str(), repeated.state()), (name.as_str(), State::Registered));
    food.close().await;
}

#[tokio::test]
async fn when_notification_is_down_nobody_is_registered_and_nothing_is_guessed() {
    let mut food = Food::open().await;
    food.cluster.restart_without(&["notification"]).await;
    let error = food.register("first", &person("mina")).await.expect_err("notification is down");
    let name = put_off(&error, Code::Unavailable, "NOTIFICATION_UNAVAILABLE");
    food.cluster.advance(ABANDONED).await;
    assert_eq!(food.customer(&name).await.state(), State::Pending);
    food.cluster.restart().await;
    food.cluster.advance(ABANDONED).await;
    assert_eq!(food.customer(&name).await.state(), State::Rejected);
    assert_eq!(food.phone("mina").await, [""; 0]);
    food.close().await;
}

#[tokio::test]
async fn the_same_request_repeated_while_pending_goes_on_where_it_stopped() {
    let mut food = Food::open().await;
    food.cluster.restart_without(&["notification"]).await;
    let error = food.register("first", &person("mina")).await.expect_err("notification is down");
    food.cluster.restart().await;
    let customer = food.register("first", &person("mina")).await.expect("notification is back");
    assert_eq!((customer.state(), customer.name), (State::Registered, customer_named_by(&error)));
    assert_eq!(food.phone("mina").await, ONE_WELCOME);
    food.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_notification_overloaded_the_registration_fails_with_retry_info() {
    let food = Food::open().await;
    let flood = stream::iter(0..MANY).map(|index| {
        let food = &food;
        async move {
            food.register(&index.to_string(), &person(&format!("late-{index}")))
                .await
                .expect_err("the channel is overloaded")
        }
    });
    let answers: Vec<_> = flood.buffer_unordered(MANY).collect().await;
    let put_off: Vec<_> = answers.iter().filter(|error| reason_of(error) == "NOTIFICATION_OVERLOADED").collect();
    assert!(!put_off.is_empty(), "{:?}", answers.first());
    for error in put_off {
        self::put_off(error, Code::ResourceExhausted, "NOTIFICATION_OVERLOADED");
    }
    // The overload opened the circuit to notification, which closes by the wall clock.
    let begun = Instant::now();
    while count(&food, "PENDING").await > 0 {
        assert!(begun.elapsed() < RECOVERY, "{} wait for ever", count(&food, "PENDING").await);
        food.cluster.advance(ABANDONED).await;
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    // The clock advanced while no withdrawal was possible: a welcome that was delivered meanwhile counts, no other
    // does.
    let arrived = food.states("notification", notification::KAKAO_SCHEMA, "messages").await;
    let arrived = arrived.values().filter(|state| *state == "DELIVERED").count();
    assert_eq!(count(&food, "REGISTERED").await, arrived);
    food.close().await;
}

#[tokio::test]
async fn the_same_request_fifty_times_at_once_registers_once_and_welcomes_once() {
    let food = Food::open().await;
    let asked = person("mina");
    let answers = join_all((0..50).map(|_| food.register("first", &asked))).await;
    let answers: Vec<_> = answers.into_iter().map(|answer| answer.expect("registered")).collect();
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(food.phone("mina").await, ONE_WELCOME);
    let others: [fn(&mut Customer); 2] =
        [|other| other.phone = "010-9999-9999".to_owned(), |other| other.notifies_order_changes = true];
    for change in others {
        let mut other = asked.clone();
        change(&mut other);
        let error = food.register("first", &other).await.expect_err("another body");
        assert_eq!(reason_of(&error), "REQUEST_ID_REUSED");
    }
    food.cluster.advance(Duration::from_secs(1)).await;
    food.close().await;
}

/// Registrations in a state.
async fn count(food: &Food, state: &str) -> usize {
    food.states("customer", "customer", "customers").await.values().filter(|is| *is == state).count()
}
