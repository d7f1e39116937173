//! `jumun dlq`.

use contracts::{
    Money,
    order::v1::{OrderCancelled, OrderEvent, OrderPlaced, OrderSummary, order::Fulfillment, order_event::Kind},
    payment::v1::{AuthorizePaymentRequest, payment_service_client::PaymentServiceClient},
};
use jumun_core::{Envelope, EventKind, time::system_now};
use prost::Message;

use super::Operator;

/// The dead letters of the context payment, by their numbers.
const LETTERS: [&str; 4] =
    ["deadLetters/payment-1", "deadLetters/payment-2", "deadLetters/payment-3", "deadLetters/payment-4"];

impl Operator {
    /// Publishes an event of an order that does not exist.
    async fn publish(&self, id: &str, number: i64, kind: Kind) {
        let event = OrderEvent { kind: Some(kind) };
        let envelope = Envelope {
            context: "order".to_owned(),
            sequence: 0,
            aggregate: id.to_owned(),
            number,
            kind: event.kind().to_owned(),
            payload: event.encode_to_vec(),
            time: system_now(),
            traceparent: None,
            causation: None,
        };
        self.food.cluster.announce(envelope).await;
        self.food.cluster.settle().await;
    }

    /// An order was placed whose payment does not exist: a dead letter of payment.
    async fn place_without_payment(&self, id: &str) {
        let summary = OrderSummary {
            customer: "customers/mina".to_owned(),
            store: "stores/gangnam".to_owned(),
            total: Some(thousand_won()),
            fulfillment: Fulfillment::Delivery.as_str_name().to_owned(),
            ..OrderSummary::default()
        };
        let (order, payment) = (format!("orders/{id}"), format!("payments/order-{id}"));
        self.publish(id, 1, Kind::Placed(OrderPlaced { order, payment, summary: Some(summary) })).await;
    }

    /// The payment of an order exists, so that it can be captured.
    async fn authorize(&self, id: &str) {
        let request = AuthorizePaymentRequest {
            payable: format!("orders/{id}"),
            amount: Some(thousand_won()),
            payment_method: "tok_visa".to_owned(),
            request_id: id.to_owned(),
        };
        let answer = PaymentServiceClient::new(self.food.cluster.channel()).authorize_payment(request).await;
        answer.expect("a good card");
    }

    /// Three orders without a payment; the second event of the first one waits behind the first.
    async fn fill(&self) {
        self.place_without_payment("a").await;
        let order = "orders/a".to_owned();
        self.publish("a", 2, Kind::Cancelled(OrderCancelled { order, ..OrderCancelled::default() })).await;
        self.place_without_payment("b").await;
        self.place_without_payment("c").await;
    }

    /// The names that `jumun dlq list` prints with these filters.
    async fn listed(&self, filters: &[&str]) -> Vec<String> {
        let table = self.prints(&[&["dlq", "list"], filters].concat()).await;
        table.lines().skip(1).filter_map(|line| Some(line.split_whitespace().next()?.to_owned())).collect()
    }

    async fn discard_all(&self) {
        self.prints(&["dlq", "discard", "--all"]).await;
    }
}

fn thousand_won() -> Money {
    Money { currency_code: "KRW".to_owned(), units: 1_000, nanos: 0 }
}

#[tokio::test]
async fn dead_letters_are_listed_by_filters_and_shown_with_their_content() {
    let operator = Operator::new().await;
    assert_eq!(operator.prints(&["dlq", "list"]).await, "");
    operator.fill().await;
    for (filters, expected) in [
        (&[][..], &LETTERS[..]),
        (&["--context", "payment", "--consumer", "payment-on-order"], &LETTERS),
        (&["--event-type", "OrderCancelled"], &LETTERS[1..2]),
        (&["--reason-contains", "waits behind", "--context", "payment"], &LETTERS[1..2]),
        (&["--context", "store"], &[]),
        (&["--limit", "2"], &LETTERS[..2]),
    ] {
        assert_eq!(operator.listed(filters).await, expected, "{filters:?}");
    }
    let limited = operator.run(&["dlq", "list", "--limit", "3", "--json"]).await;
    let listed: serde_json::Value = serde_json::from_slice(&limited.stdout).expect("JSON");
    assert_eq!(listed["deadLetters"].as_array().expect("a list").len(), 3);
    assert!(String::from_utf8_lossy(&limited.stderr).contains("more than 3"));

    let shown = operator.prints(&["dlq", "show", LETTERS[0]]).await;
    for line in ["event        order/a/1", "type         OrderPlaced", "aggregate    orders/a"] {
        assert!(shown.lines().any(|shown| shown == line), "{line} is not in: {shown}");
    }
    let shown = operator.json(&["dlq", "show", LETTERS[0], "--json"]).await;
    assert_eq!(shown["payload"]["placed"]["order"], "orders/a");
    operator.discard_all().await;
    operator.food.cluster.finish().await;
}

#[tokio::test]
async fn redriving_stops_at_the_first_failure_and_says_how_far_it_came() {
    let operator = Operator::new().await;
    operator.fill().await;
    let planned = operator.prints(&["dlq", "redrive", "--all", "--dry-run"]).await;
    assert!(planned.ends_with("4 dead letters would be redriven\n") && planned.contains(LETTERS[3]), "{planned}");
    let behind = operator.fails(1, &["dlq", "redrive", LETTERS[1]]).await;
    assert!(behind.contains("0 of 1 dead letter redriven") && behind.contains(LETTERS[1]), "{behind}");
    assert!(behind.contains(&format!("waits behind {}", LETTERS[0])), "{behind}");
    operator.authorize("b").await;
    let first = operator.fails(1, &["dlq", "redrive", "--all"]).await;
    assert!(first.contains(&format!("0 of 4 dead letters redriven; {} failed", LETTERS[0])), "{first}");
    assert_eq!(operator.listed(&[]).await, LETTERS, "those after the failure were not tried");

    operator.authorize("a").await;
    let last = operator.fails(1, &["dlq", "redrive", "--context", "payment", "--rate", "1"]).await;
    assert!(last.contains(&format!("3 of 4 dead letters redriven; {} failed: ", LETTERS[3])), "{last}");
    assert!(last.contains(" of 4 redriven\n"), "it takes seconds, so it reports progress: {last}");
    assert_eq!(operator.listed(&[]).await, LETTERS[3..]);
    operator.authorize("c").await;
    assert_eq!(operator.prints(&["dlq", "redrive", LETTERS[3]]).await, "1 dead letter redriven\n");
    assert_eq!(operator.prints(&["dlq", "redrive", "--all"]).await, "0 dead letters redriven\n");
    operator.food.cluster.finish().await;
}

#[tokio::test]
async fn discarding_gives_up_what_is_selected_only() {
    let operator = Operator::new().await;
    operator.fill().await;
    let planned = operator.prints(&["dlq", "discard", LETTERS[2], LETTERS[0], "--dry-run"]).await;
    let names: Vec<_> = planned.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(names, ["NAME", LETTERS[0], LETTERS[2], "2"], "in their original order");
    assert_eq!(operator.listed(&[]).await, LETTERS);
    let discarded = operator.prints(&["dlq", "discard", LETTERS[2], LETTERS[0], LETTERS[0]]).await;
    assert_eq!(discarded, "2 dead letters discarded\n");
    assert_eq!(operator.listed(&[]).await, [LETTERS[1], LETTERS[3]]);
    let next = operator.fails(1, &["dlq", "redrive", LETTERS[1]]).await;
    assert!(next.contains("NOT_FOUND") && !next.contains("waits behind"), "none is before it: {next}");
    let unknown = operator.fails(1, &["dlq", "discard", LETTERS[3], LETTERS[0]]).await;
    assert!(unknown.contains(&format!("NOT_FOUND: {} does not exist", LETTERS[0])), "{unknown}");
    assert_eq!(operator.listed(&[]).await, [LETTERS[1], LETTERS[3]], "nothing is done if a name is unknown");
    operator.discard_all().await;
    operator.food.cluster.finish().await;
}

#[tokio::test]
async fn a_selection_must_be_clear_and_names_must_exist() {
    let operator = Operator::new().await;
    for command in ["redrive", "discard"] {
        let nothing = operator.fails(2, &["dlq", command]).await;
        assert!(nothing.contains("--all"), "{nothing}");
        operator.fails(2, &["dlq", command, LETTERS[0], "--all"]).await;
        let unknown = operator.fails(1, &["dlq", command, "deadLetters/stor-1"]).await;
        assert!(unknown.contains("NOT_FOUND: deadLetters/stor-1 does not exist"), "{unknown}");
    }
    let unknown = operator.fails(1, &["dlq", "show", LETTERS[0]]).await;
    assert!(unknown.contains("NOT_FOUND"), "{unknown}");
    let malformed = operator.fails(2, &["dlq", "show", "payment-1"]).await;
    assert!(malformed.contains("deadLetters/store-1"), "{malformed}");
    operator.food.cluster.finish().await;
}
