//! What both buses promise. The same tests for each: the embedded one is exactly as strict.

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

/// Longer than a delivery takes; shorter than JetStream waits for an acknowledgement.
const A_WHILE: Duration = Duration::from_millis(500);

/// Every bus that there is here: a new one of each kind.
async fn buses() -> Vec<Bus> {
    let mut buses = vec![Bus::Local(LocalBus::default())];
    if on_servers() {
        let url = env::var("JUMUN_TEST_NATS_URL").expect("JUMUN_TEST_NATS_URL is not set: run `make test`");
        // A prefix of its own keeps it apart; the streams go with the server.
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

async fn assert_silent(incoming: &mut Incoming) {
    assert!(tokio::time::timeout(A_WHILE, incoming.next()).await.is_err(), "there is nothing more to hear");
}

#[tokio::test]
async fn an_aggregates_events_are_delivered_in_the_order_of_publishing() {
    for bus in buses().await {
        let mut incoming = bus.subscribe("counter", "listener").await.expect("a subscription");
        let mut taken = Vec::new();
        for number in 1..=50 {
            for id in ["a", "b", "c"] {
                taken.push(bus.publish(Arc::new(added(id, number, number))).await.expect("taken"));
            }
        }
        let mut heard: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        for _ in 0..150 {
            let delivery = next(&mut incoming).await;
            let message = delivery.envelope().expect("a readable event");
            heard.entry(message.aggregate.clone()).or_default().push(message.number);
            delivery.settle().await;
        }
        assert!(heard.values().all(|numbers| *numbers == (1..=50).collect::<Vec<_>>()), "{heard:?}");
        assert_eq!(heard.len(), 3);
        for taken in taken {
            taken.await.expect("the bus has it");
        }
        assert_silent(&mut incoming).await;
    }
}

#[tokio::test]
async fn what_could_not_be_applied_comes_again_after_the_delay() {
    for bus in buses().await {
        let mut incoming = bus.subscribe("counter", "listener").await.expect("a subscription");
        let taken = bus.publish(Arc::new(added("a", 1, 1))).await.expect("taken");
        let delay = Duration::from_millis(200);
        for attempt in 1..=3 {
            let delivery = next(&mut incoming).await;
            assert_eq!((delivery.attempt(), delivery.envelope()), (attempt, Ok(Arc::new(added("a", 1, 1)))));
            let start = Instant::now();
            delivery.retry(delay).await;
            if attempt == 1 {
                // Others need not wait for it.
                let other = bus.publish(Arc::new(added("b", 1, 1))).await.expect("taken");
                let delivery = next(&mut incoming).await;
                assert_eq!(delivery.envelope().expect("a readable event").aggregate, "b");
                assert!(start.elapsed() < delay, "{:?}", start.elapsed());
                delivery.settle().await;
                other.await.expect("the bus has it");
            }
        }
        assert_eq!(number_of_next(&mut incoming).await, 1);
        taken.await.expect("the bus has it");
        assert_silent(&mut incoming).await;
    }
}

#[tokio::test]
async fn two_consumers_each_get_everything() {
    for bus in buses().await {
        let mut one = bus.subscribe("counter", "one").await.expect("a subscription");
        let mut other = bus.subscribe("counter", "other").await.expect("a subscription");
        for number in 1..=10 {
            drop(bus.publish(Arc::new(added("a", number, number))).await.expect("taken"));
        }
        for number in 1..=10 {
            assert_eq!(number_of_next(&mut one).await, number);
        }
        for number in 1..=10 {
            assert_eq!(number_of_next(&mut other).await, number);
        }
        assert_silent(&mut one).await;
    }
}

#[tokio::test]
async fn a_delivery_that_nobody_settled_comes_again() {
    for bus in buses().await {
        let mut incoming = bus.subscribe("counter", "listener").await.expect("a subscription");
        let taken = bus.publish(Arc::new(added("a", 1, 1))).await.expect("taken");
        let delivery = next(&mut incoming).await;
        match bus {
            Bus::Local(_) => {
                // It keeps nothing: it tells its publisher, who has the event in the outbox and publishes it again.
                drop(delivery);
                taken.await.expect_err("nobody has it");
                drop(bus.publish(Arc::new(added("a", 1, 1))).await.expect("taken"));
            }
            // Dropped, it would come again after 30 s; told so, it comes at once.
            Bus::JetStream(_) => delivery.retry(Duration::ZERO).await,
        }
        assert_eq!(number_of_next(&mut incoming).await, 1);
        assert_silent(&mut incoming).await;
    }
}

#[tokio::test]
async fn a_consumer_goes_on_where_it_stopped() {
    for bus in buses().await {
        let mut incoming = bus.subscribe("counter", "listener").await.expect("a subscription");
        drop(bus.publish(Arc::new(added("a", 1, 1))).await.expect("taken"));
        assert_eq!(number_of_next(&mut incoming).await, 1);
        drop(incoming);
        let mut incoming = bus.subscribe("counter", "listener").await.expect("a subscription");
        drop(bus.publish(Arc::new(added("a", 2, 2))).await.expect("taken"));
        assert_eq!(number_of_next(&mut incoming).await, 2);
        assert_silent(&mut incoming).await;
    }
}

#[tokio::test]
async fn contexts_are_kept_apart() {
    for bus in buses().await {
        let mut incoming = bus.subscribe("counter", "listener").await.expect("a subscription");
        let mut other = bus.subscribe("other", "listener").await.expect("a subscription");
        drop(bus.publish(Arc::new(Envelope { context: "other".to_owned(), ..added("a", 7, 7) })).await.expect("taken"));
        assert_eq!(number_of_next(&mut other).await, 7);
        assert_silent(&mut incoming).await;
    }
}

#[tokio::test]
async fn everything_about_an_event_survives() {
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
            drop(bus.publish(Arc::new(message.clone())).await.expect("taken"));
            let delivery = next(&mut incoming).await;
            assert_eq!(*delivery.envelope().expect("a readable event"), *message);
            delivery.settle().await;
        }
    }
}

#[tokio::test]
async fn what_waits_for_a_consumer_is_known() {
    for bus in buses().await {
        let mut incoming = bus.subscribe("counter", "listener").await.expect("a subscription");
        let taken = bus.publish(Arc::new(added("a", 1, 1))).await.expect("taken");
        let delivery = next(&mut incoming).await;
        // The local bus says it by not acknowledging, JetStream by a count.
        let waits = match bus {
            Bus::Local(_) => 0,
            Bus::JetStream(_) => 1,
        };
        assert_eq!(bus.unsettled("counter", "listener").await.expect("a count"), waits);
        delivery.settle().await;
        taken.await.expect("the bus has it");
        let start = Instant::now();
        while bus.unsettled("counter", "listener").await.expect("a count") > 0 {
            assert!(start.elapsed() < Duration::from_secs(5), "it was settled");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
