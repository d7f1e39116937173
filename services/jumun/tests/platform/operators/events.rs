//! `jumun events`.

use std::time::Duration;

use contracts::customer::v1::Customer;
use testkit::TestCluster;

use super::{
    super::journeys::{Food, person},
    Operator,
};

/// The type of each event that was printed.
fn kinds(printed: &str) -> Vec<&str> {
    printed.lines().filter_map(|line| line.split_whitespace().nth(1)).collect()
}

#[tokio::test]
async fn the_events_of_an_order_are_printed_with_those_of_every_context_that_it_passed() {
    let operator = Operator::new().await;
    let food = &operator.food;
    let mina = Customer { notifies_order_changes: true, ..person("mina") };
    let customer = food.register("mina", &mina).await.expect("reached").name;
    food.place("another").await;
    // Events of the same time stay in the sequence of the contexts.
    food.cluster.advance(Duration::from_secs(1)).await;
    let order = food.place("1").await.name;
    food.cluster.advance(Duration::from_secs(1)).await;
    food.accept(&order).await.expect("an open ticket");
    food.cluster.advance(Duration::from_secs(1)).await;

    let expected = [
        "OrderPlaced",
        "PaymentAuthorized",
        "PaymentCaptured",
        "TicketOpened",
        "TicketAccepted",
        "DeliveryScheduled",
        // The worker delivers it once the clock has moved.
        "NotificationDelivered",
    ];
    let printed = operator.prints(&["events", &order]).await;
    assert_eq!(kinds(&printed), expected, "{printed}");
    let id = order.replace("orders/", "");
    assert!(printed.lines().nth(2).is_some_and(|line| line.ends_with(&format!("after order/{id}/1"))), "{printed}");
    assert_eq!(operator.prints(&["events", &format!("orderViews/{id}")]).await, printed);
    assert_eq!(
        kinds(&operator.prints(&["events", &format!("tickets/{id}")]).await),
        ["TicketOpened", "TicketAccepted"]
    );
    let registered = operator.prints(&["events", &customer]).await;
    assert_eq!(kinds(&registered), ["CustomerRegistered", "NotificationDelivered"], "{registered}");

    let json = operator.json(&["events", &order, "--json"]).await;
    let events = json["events"].as_array().expect("a list");
    assert_eq!(events.iter().map(|event| event["kind"].as_str().expect("a type")).collect::<Vec<_>>(), expected);
    assert_eq!(events[0]["payload"]["placed"]["order"], order.as_str());
    assert_eq!(events[0]["payload"]["placed"]["summary"]["items"][0]["quantity"].to_string(), "2");
    operator.food.close().await;
}

#[tokio::test]
async fn a_name_without_events_is_an_error_that_says_so() {
    let operator = Operator::new().await;
    let unknown = operator.fails(1, &["events", "orders/unknown"]).await;
    assert!(unknown.contains("orders/unknown has no events"), "{unknown}");
    let collection = operator.fails(1, &["events", "ordr/a"]).await;
    assert!(collection.contains("INVALID_ARGUMENT") && collection.contains("orders"), "{collection}");
    let malformed = operator.fails(2, &["events", "orders"]).await;
    assert!(malformed.contains("orders/{uuid}"), "{malformed}");
    operator.food.close().await;
}

#[tokio::test]
async fn contexts_that_run_elsewhere_are_named() {
    let cluster = TestCluster::new(admin::platform(), vec![order::context(), payment::context()]).await;
    let operator = Operator::of(Food { cluster }).await;
    let order = operator.food.place("1").await.name;
    let output = operator.run(&["events", &order]).await;
    assert!(output.status.success());
    let printed = String::from_utf8_lossy(&output.stdout);
    assert_eq!(kinds(&printed), ["OrderPlaced", "PaymentAuthorized", "PaymentCaptured"], "{printed}");
    let missing = format!("not running at {}: delivery, kitchen, notification, store", operator.address);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains(&missing), "{errors}");
    let ticket = operator.fails(1, &["events", "tickets/a"]).await;
    assert!(ticket.contains("tickets/a has no events; not running at") && ticket.contains(": store"), "{ticket}");
    operator.food.close().await;
}
