//! The guarantees of a bus. Every test runs on the local bus and, on servers, on JetStream.

use std::{
    collections::BTreeMap,
    env,
    sync::Arc,
    time::{Duration, Instant},
};

use eventing::{Bus, Delivery, Incoming, JetStreamBus, JetStreamSettings, LocalBus};
use jumun_core::{Envelope, Time, name::new_id};
use testkit::on_servers;

use super::counter::added;

/// Longer than a delivery takes, and shorter than JetStream's acknowledgement timeout.
const A_WHILE: Duration = Duration::from_millis(500);

/// A new bus of each kind that this test run has.
async fn buses() -> Vec<Bus> {
    let mut buses = vec![Bus::Local(LocalBus::default())];
    if on_servers() {
        let url = env::var("JUMUN_TEST_NATS_URL").expect("JUMUN_TEST_NATS_URL is not set: run `make test`");
        // The prefix isolates the test. The streams are deleted with the server.
        let prefix = format!("bus-{}", new_id());
        let settings = JetStreamSettings {
            url,
            prefix,
            replicas: 1,
            max_age: Duration::from_secs(600),
            trust: Default::default(),
        };
        buses.push(Bus::JetStream(Arc::new(JetStreamBus::connect(settings).await.expect("a broker"))));
    }
    buses
}

async fn next(incoming: &mut Incoming) -> Delivery {
    let delivery = tokio::time::timeout(Duration::from_secs(10), incoming.next()).await.expect("a delivery in time");
    delivery.expect("a subscription").expect("a delivery")
}

async fn number_of_next(incoming: &mut Incoming) -> i64 {
    let delivery = next(incoming).await;
    let number = delivery.envelope().expect("a readable event").number;
    delivery.settle().await;
    number
}

async fn assert_no_more(incoming: &mut Incoming) {
    assert!(tokio::time::timeout(A_WHILE, incoming.next()).await.is_err(), "there is another delivery");
}

#[tokio::test]
async fn an_aggregates_events_are_delivered_in_the_order_of_publishing() {
    for bus in buses().await {
        let mut incoming = bus.subscribe("counter", "listener").await.expect("a subscription");
        let mut acknowledgements = Vec::new();
        for number in 1..=50 {
            for id in ["a", "b", "c"] {
                acknowledgements.push(bus.publish(Arc::new(added(id, number, number))).await.expect("published"));
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
}

#[tokio::test]
async fn an_event_that_could_not_be_applied_is_delivered_again_after_the_delay() {
    for bus in buses().await {
        let mut incoming = bus.subscribe("counter", "listener").await.expect("a subscription");
        let acknowledgement = bus.publish(Arc::new(added("a", 1, 1))).await.expect("published");
        let delay = Duration::from_millis(200);
        for attempt in 1..=3 {
            let delivery = next(&mut incoming).await;
            assert_eq!((delivery.attempt(), delivery.envelope()), (attempt, Ok(Arc::new(added("a", 1, 1)))));
            let start = Instant::now();
            delivery.retry(delay).await;
            if attempt == 1 {
                // Other events do not wait for it.
                let other = bus.publish(Arc::new(added("b", 1, 1))).await.expect("published");
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
}

#[tokio::test]
async fn two_consumers_each_get_everything() {
    for bus in buses().await {
        let mut one = bus.subscribe("counter", "one").await.expect("a subscription");
        let mut other = bus.subscribe("counter", "other").await.expect("a subscription");
        for number in 1..=10 {
            drop(bus.publish(Arc::new(added("a", number, number))).await.expect("published"));
        }
        for number in 1..=10 {
            assert_eq!(number_of_next(&mut one).await, number);
        }
        for number in 1..=10 {
            assert_eq!(number_of_next(&mut other).await, number);
        }
        assert_no_more(&mut one).await;
    }
}

#[tokio::test]
async fn an_unsettled_delivery_is_delivered_again() {
    for bus in buses().await {
        let mut incoming = bus.subscribe("counter", "listener").await.expect("a subscription");
        let acknowledgement = bus.publish(Arc::new(added("a", 1, 1))).await.expect("published");
        let delivery = next(&mut incoming).await;
        match bus {
            Bus::Local(_) => {
                // The local bus stores nothing: it does not acknowledge, and the relay publishes the event again.
                drop(delivery);
                acknowledgement.await.expect_err("not acknowledged");
                drop(bus.publish(Arc::new(added("a", 1, 1))).await.expect("published"));
            }
            // A dropped delivery would be repeated after 30 s; one that is rejected, at once.
            Bus::JetStream(_) => delivery.retry(Duration::ZERO).await,
        }
        assert_eq!(number_of_next(&mut incoming).await, 1);
        assert_no_more(&mut incoming).await;
    }
}

#[tokio::test]
async fn a_consumer_continues_where_it_stopped() {
    for bus in buses().await {
        let mut incoming = bus.subscribe("counter", "listener").await.expect("a subscription");
        drop(bus.publish(Arc::new(added("a", 1, 1))).await.expect("published"));
        assert_eq!(number_of_next(&mut incoming).await, 1);
        drop(incoming);
        let mut incoming = bus.subscribe("counter", "listener").await.expect("a subscription");
        drop(bus.publish(Arc::new(added("a", 2, 2))).await.expect("published"));
        assert_eq!(number_of_next(&mut incoming).await, 2);
        assert_no_more(&mut incoming).await;
    }
}

#[tokio::test]
async fn a_consumer_gets_the_events_of_its_source_context_only() {
    for bus in buses().await {
        let mut incoming = bus.subscribe("counter", "listener").await.expect("a subscription");
        let mut other = bus.subscribe("other", "listener").await.expect("a subscription");
        drop(
            bus.publish(Arc::new(Envelope { context: "other".to_owned(), ..added("a", 7, 7) }))
                .await
                .expect("published"),
        );
        assert_eq!(number_of_next(&mut other).await, 7);
        assert_no_more(&mut incoming).await;
    }
}

#[tokio::test]
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
    for bus in buses().await {
        let mut incoming = bus.subscribe("counter", "listener").await.expect("a subscription");
        for message in [&plain, &full, &empty] {
            drop(bus.publish(Arc::new(message.clone())).await.expect("published"));
            let delivery = next(&mut incoming).await;
            assert_eq!(*delivery.envelope().expect("a readable event"), *message);
            delivery.settle().await;
        }
    }
}

#[tokio::test]
async fn the_number_of_unsettled_events_of_a_consumer_is_known() {
    for bus in buses().await {
        let mut incoming = bus.subscribe("counter", "listener").await.expect("a subscription");
        let acknowledgement = bus.publish(Arc::new(added("a", 1, 1))).await.expect("published");
        let delivery = next(&mut incoming).await;
        // The local bus does not count: it acknowledges to the publisher only when the event is settled.
        let unsettled = match bus {
            Bus::Local(_) => 0,
            Bus::JetStream(_) => 1,
        };
        assert_eq!(bus.unsettled("counter", "listener").await.expect("a count"), unsettled);
        delivery.settle().await;
        acknowledgement.await.expect("acknowledged");
        let start = Instant::now();
        while bus.unsettled("counter", "listener").await.expect("a count") > 0 {
            assert!(start.elapsed() < Duration::from_secs(5), "it was settled");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
