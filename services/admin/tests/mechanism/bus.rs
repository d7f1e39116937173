//! The guarantees of the broker that consumers rely on.

use std::{
    collections::BTreeMap,
    env,
    sync::Arc,
    time::{Duration, Instant},
};

use eventing::{JetStreamBus, JetStreamDelivery, JetStreamIncoming, JetStreamSettings};
use jumun_core::{Envelope, Time, name::new_id};

use super::counter::added;

/// Longer than a delivery takes, and shorter than JetStream's acknowledgement timeout.
const A_WHILE: Duration = Duration::from_millis(500);

/// A connection to the broker, for streams of its own.
async fn broker() -> JetStreamBus {
    let url = env::var("JUMUN_TEST_NATS_URL").expect("JUMUN_TEST_NATS_URL is not set: run `make test`");
    // The prefix isolates the test. The streams are deleted with the server.
    let prefix = format!("bus-{}", new_id());
    let settings =
        JetStreamSettings { url, prefix, replicas: 1, max_age: Duration::from_secs(600), trust: Default::default() };
    JetStreamBus::connect(settings).await.expect("a broker")
}

async fn next(incoming: &mut JetStreamIncoming) -> JetStreamDelivery {
    let delivery = tokio::time::timeout(Duration::from_secs(10), incoming.next()).await.expect("a delivery in time");
    delivery.expect("a subscription").expect("a delivery")
}

async fn number_of_next(incoming: &mut JetStreamIncoming) -> i64 {
    let delivery = next(incoming).await;
    let number = delivery.envelope().expect("a readable event").number;
    delivery.settle().await;
    number
}

async fn assert_no_more(incoming: &mut JetStreamIncoming) {
    assert!(tokio::time::timeout(A_WHILE, incoming.next()).await.is_err(), "there is another delivery");
}

#[tokio::test]
#[ignore = "needs a broker: `make test` runs it"]
async fn an_aggregates_events_are_delivered_in_the_order_of_publishing() {
    let bus = broker().await;
    let mut incoming = bus.subscribe("counter", "listener").await.expect("a subscription");
    let mut acknowledgements = Vec::new();
    for number in 1..=50 {
        for id in ["a", "b", "c"] {
            acknowledgements.push(bus.publish(&added(id, number, number)).await.expect("published"));
        }
    }
    let mut received: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for _ in 0..150 {
        let delivery = next(&mut incoming).await;
        let message = delivery.envelope().expect("a readable event");
        received.entry(message.aggregate.clone()).or_default().push(message.number);
        delivery.settle().await;
    }
    assert!(received.values().all(|numbers| *numbers == (1..=50).collect::<Vec<_>>()), "{received:?}");
    assert_eq!(received.len(), 3);
    for acknowledgement in acknowledgements {
        acknowledgement.await.expect("acknowledged");
    }
    assert_no_more(&mut incoming).await;
}

#[tokio::test]
#[ignore = "needs a broker: `make test` runs it"]
async fn an_event_that_could_not_be_applied_is_delivered_again_after_the_delay() {
    let bus = broker().await;
    let mut incoming = bus.subscribe("counter", "listener").await.expect("a subscription");
    let acknowledgement = bus.publish(&added("a", 1, 1)).await.expect("published");
    let delay = Duration::from_millis(200);
    for attempt in 1..=3 {
        let delivery = next(&mut incoming).await;
        assert_eq!((delivery.attempt(), delivery.envelope()), (attempt, Ok(Arc::new(added("a", 1, 1)))));
        let start = Instant::now();
        delivery.retry(delay).await;
        if attempt == 1 {
            // Other events do not wait for it.
            let other = bus.publish(&added("b", 1, 1)).await.expect("published");
            let delivery = next(&mut incoming).await;
            assert_eq!(delivery.envelope().expect("a readable event").aggregate, "b");
            assert!(start.elapsed() < delay, "{:?}", start.elapsed());
            delivery.settle().await;
            other.await.expect("acknowledged");
        }
    }
    assert_eq!(number_of_next(&mut incoming).await, 1);
    acknowledgement.await.expect("acknowledged");
    assert_no_more(&mut incoming).await;
}

#[tokio::test]
#[ignore = "needs a broker: `make test` runs it"]
async fn two_consumers_each_get_everything() {
    let bus = broker().await;
    let mut one = bus.subscribe("counter", "one").await.expect("a subscription");
    let mut other = bus.subscribe("counter", "other").await.expect("a subscription");
    for number in 1..=10 {
        drop(bus.publish(&added("a", number, number)).await.expect("published"));
    }
    for number in 1..=10 {
        assert_eq!(number_of_next(&mut one).await, number);
    }
    for number in 1..=10 {
        assert_eq!(number_of_next(&mut other).await, number);
    }
    assert_no_more(&mut one).await;
}

#[tokio::test]
#[ignore = "needs a broker: `make test` runs it"]
async fn an_unsettled_delivery_is_delivered_again() {
    let bus = broker().await;
    let mut incoming = bus.subscribe("counter", "listener").await.expect("a subscription");
    let _acknowledgement = bus.publish(&added("a", 1, 1)).await.expect("published");
    let delivery = next(&mut incoming).await;
    // A dropped delivery would be repeated after 10 s; one that is rejected, at once.
    delivery.retry(Duration::ZERO).await;
    assert_eq!(number_of_next(&mut incoming).await, 1);
    assert_no_more(&mut incoming).await;
}

#[tokio::test]
#[ignore = "needs a broker: `make test` runs it"]
async fn a_consumer_continues_where_it_stopped() {
    let bus = broker().await;
    let mut incoming = bus.subscribe("counter", "listener").await.expect("a subscription");
    drop(bus.publish(&added("a", 1, 1)).await.expect("published"));
    assert_eq!(number_of_next(&mut incoming).await, 1);
    drop(incoming);
    let mut incoming = bus.subscribe("counter", "listener").await.expect("a subscription");
    drop(bus.publish(&added("a", 2, 2)).await.expect("published"));
    assert_eq!(number_of_next(&mut incoming).await, 2);
    assert_no_more(&mut incoming).await;
}

#[tokio::test]
#[ignore = "needs a broker: `make test` runs it"]
async fn a_consumer_gets_the_events_of_its_source_context_only() {
    let bus = broker().await;
    let mut incoming = bus.subscribe("counter", "listener").await.expect("a subscription");
    let mut other = bus.subscribe("other", "listener").await.expect("a subscription");
    drop(bus.publish(&Envelope { context: "other".to_owned(), ..added("a", 7, 7) }).await.expect("published"));
    assert_eq!(number_of_next(&mut other).await, 7);
    assert_no_more(&mut incoming).await;
}

#[tokio::test]
#[ignore = "needs a broker: `make test` runs it"]
async fn every_field_of_an_event_is_delivered() {
    let plain = added("a", 1, 1);
    let full = Envelope {
        aggregate: "0190b6f0-0000-7000-8000-000000000000".to_owned(),
        number: i64::MAX,
        kind: "AVeryLongKindOfThingThatHappened".to_owned(),
        payload: (0..=255).collect(),
        time: Time(1_234_567_890_123_456),
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
        causation: Some("order/0190b6f0-0000-7000-8000-000000000000/2".to_owned()),
        ..plain.clone()
    };
    let empty = Envelope { payload: Vec::new(), number: 2, ..plain.clone() };
    let bus = broker().await;
    let mut incoming = bus.subscribe("counter", "listener").await.expect("a subscription");
    for message in [&plain, &full, &empty] {
        drop(bus.publish(message).await.expect("published"));
        let delivery = next(&mut incoming).await;
        assert_eq!(*delivery.envelope().expect("a readable event"), *message);
        delivery.settle().await;
    }
}

#[tokio::test]
#[ignore = "needs a broker: `make test` runs it"]
async fn the_number_of_unsettled_events_of_a_consumer_is_known() {
    let bus = broker().await;
    let mut incoming = bus.subscribe("counter", "listener").await.expect("a subscription");
    let acknowledgement = bus.publish(&added("a", 1, 1)).await.expect("published");
    let delivery = next(&mut incoming).await;
    assert_eq!(bus.unsettled("counter", "listener").await.expect("a count"), 1);
    delivery.settle().await;
    acknowledgement.await.expect("acknowledged");
    let start = Instant::now();
    while bus.unsettled("counter", "listener").await.expect("a count") > 0 {
        assert!(start.elapsed() < Duration::from_secs(5), "it was settled");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
