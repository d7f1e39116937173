//! NATS JetStream: one stream per context, one durable pull consumer per subscription.
//!
//! The broker acknowledges before it syncs to disk and may lose acknowledged events, so the outbox stays the source of
//! truth: a recreated stream has another identity, and gets all events again.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_nats::{
    HeaderMap,
    jetstream::{
        self, AckKind,
        consumer::{AckPolicy, DeliverPolicy, pull},
        stream::{Config as StreamConfig, RetentionPolicy, StorageType},
    },
};
use futures::{FutureExt, StreamExt};

use jumun_core::{Envelope, Time, time::timeout};
use net::tls::ClientTls;

use crate::transport::{Acknowledgement, BusError, BusIdentity};

/// How long the broker deduplicates by message id. The inbox guarantees correctness; this only saves work.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(120);
/// The time until an unsettled event is redelivered. (A consumer `backoff` would override it.) It delays the events of
/// a killed process, and the system must recover within 30 s of a failure.
const ACK_WAIT: Duration = Duration::from_secs(10);
/// Maximum number of unsettled events per consumer.
const MAX_ACK_PENDING: i64 = 1024;
/// Events per fetch, the maximum duration of a fetch, and the interval of the broker's heartbeats.
const FETCH_BATCH: usize = 256;
const FETCH_EXPIRES: Duration = Duration::from_secs(30);
const FETCH_HEARTBEAT: Duration = Duration::from_secs(5);
/// Timeouts of a request to the broker, and of a flush.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);
/// Maximum number of unacknowledged events per relay. Beyond it, async-nats makes `publish` wait for all users of the
/// JetStream context, so each relay has its own context and limit. The broker must keep so many events of one stream
/// within REQUEST_TIMEOUT, even if it syncs each one to a slow disk.
const MAX_UNACKNOWLEDGED: usize = 256;
/// The redelivery delay of events that a stopping subscription returns: long enough that it has ended by then.
const RETURN_DELAY: Duration = Duration::from_millis(300);
const PING_INTERVAL: Duration = Duration::from_secs(10);
const MAX_RECONNECT_DELAY: Duration = Duration::from_secs(4);
/// The number of partitions in subjects. All events of an aggregate are in one partition.
const PARTITIONS: u32 = 16;

/// Settings of the connection to the broker, and of its streams.
#[derive(Clone, Debug)]
pub struct JetStreamSettings {
    /// The addresses of the broker: `nats://host:port`, separated by commas.
    pub url: String,
    /// The first token of every subject and of every stream name.
    pub prefix: String,
    /// The number of replicas of each stream.
    pub replicas: usize,
    /// How long the broker keeps events; zero: forever.
    pub max_age: Duration,
    /// TLS settings for `tls://` addresses.
    pub trust: ClientTls,
}

/// The credentials and TLS settings of the connection. async-nats ignores credentials in addresses.
fn connect_options(trust: &ClientTls, address: Option<&async_nats::ServerAddr>) -> async_nats::ConnectOptions {
    let mut options = async_nats::ConnectOptions::new();
    options = match address.and_then(|address| Some((address.username()?, address.password()))) {
        Some((user, Some(password))) => options.user_and_password(user.to_owned(), password.to_owned()),
        Some((token, None)) => options.token(token.to_owned()),
        None => options,
    };
    if let Some(file) = &trust.ca_file {
        options = options.add_root_certificates(file.clone());
    }
    match &trust.identity {
        Some(identity) => options.add_client_certificate(identity.cert_file.clone(), identity.key_file.clone()),
        None => options,
    }
}

/// A connection to the broker.
#[derive(Clone)]
pub struct JetStreamBus {
    client: async_nats::Client,
    context: jetstream::Context,
    settings: Arc<JetStreamSettings>,
    streams: Arc<Mutex<HashMap<String, jetstream::stream::Stream>>>,
}

impl JetStreamBus {
    /// Connects, and keeps retrying if the broker is not reachable yet.
    pub async fn connect(settings: JetStreamSettings) -> anyhow::Result<Self> {
        let addresses: Vec<async_nats::ServerAddr> =
            settings.url.split(',').map(|url| url.trim().parse()).collect::<Result<_, _>>()?;
        let client = connect_options(&settings.trust, addresses.first())
            .name("jumun")
            .retry_on_initial_connect()
            .ping_interval(PING_INTERVAL)
            .reconnect_delay_callback(|attempts| {
                let exponent = u32::try_from(attempts.min(6)).unwrap_or(6);
                MAX_RECONNECT_DELAY.min(Duration::from_millis(50 * 2_u64.pow(exponent)))
            })
            .connect(addresses)
            .await?;
        let mut context = jetstream::new(client.clone());
        context.set_timeout(REQUEST_TIMEOUT);
        Ok(Self { client, context, settings: Arc::new(settings), streams: Arc::default() })
    }

    /// The same connection, with its own limit of unacknowledged events. A lost acknowledgement frees its slot after
    /// REQUEST_TIMEOUT, whether or not it is awaited.
    pub(crate) fn for_relay(&self) -> Self {
        let context = jetstream::context::ContextBuilder::new()
            .timeout(REQUEST_TIMEOUT)
            .ack_timeout(REQUEST_TIMEOUT)
            .max_ack_inflight(MAX_UNACKNOWLEDGED)
            .backpressure_on_inflight(true)
            .build(self.client.clone());
        Self { context, ..self.clone() }
    }

    /// The stream of a context, created if it does not exist.
    async fn stream(&self, context: &str) -> Result<jetstream::stream::Stream, BusError> {
        let name = self.stream_name(context);
        let stream = self
            .context
            .get_or_create_stream(StreamConfig {
                name: name.clone(),
                subjects: vec![format!("{}.{context}.>", self.settings.prefix)],
                // Not a work queue: several consumers receive each event, and a rebuilt view receives all events again.
                retention: RetentionPolicy::Limits,
                storage: StorageType::File,
                num_replicas: self.settings.replicas,
                max_age: self.settings.max_age,
                duplicate_window: DUPLICATE_WINDOW,
                ..StreamConfig::default()
            })
            .await
            .map_err(BusError::new)?;
        self.streams.lock().unwrap_or_else(PoisonError::into_inner).insert(name, stream.clone());
        Ok(stream)
    }

    fn stream_name(&self, context: &str) -> String {
        format!("{}-{context}", self.settings.prefix)
    }

    /// The identity of a context's stream.
    pub async fn identity(&self, context: &str) -> Result<BusIdentity, BusError> {
        let stream = self.stream(context).await?;
        let created = stream.cached_info().created;
        Ok(BusIdentity(format!("jetstream-{}-{}", self.stream_name(context), created.unix_timestamp_nanos())))
    }

    /// Publishes an event. The order of calls is the order of delivery; the returned future waits for the
    /// acknowledgement.
    pub async fn publish(&self, envelope: &Envelope) -> Result<Acknowledgement, BusError> {
        let subject = format!(
            "{}.{}.{:02}.{}.{}",
            self.settings.prefix,
            envelope.context,
            partition(&envelope.aggregate),
            envelope.kind,
            envelope.aggregate
        );
        let acknowledged = self
            .context
            .publish_with_headers(subject, headers(envelope), envelope.payload.clone().into())
            .await
            .map_err(BusError::new)?;
        Ok(Box::pin(async move {
            let ack = acknowledged.await.map_err(BusError::new)?;
            // Old servers answer "duplicate" without a sequence for a message that was never stored.
            if ack.duplicate && ack.sequence == 0 { Err(BusError::new("not stored")) } else { Ok(()) }
        }))
    }

    /// Receives a context's events as `consumer`, from where that consumer stopped.
    pub async fn subscribe(&self, context: &str, consumer: &str) -> Result<JetStreamIncoming, BusError> {
        let stream = self.stream(context).await?;
        let config = pull::Config {
            durable_name: Some(consumer.to_owned()),
            ack_policy: AckPolicy::Explicit,
            ack_wait: ACK_WAIT,
            deliver_policy: DeliverPolicy::All,
            max_ack_pending: MAX_ACK_PENDING,
            ..pull::Config::default()
        };
        let consumer = stream.get_or_create_consumer(consumer, config).await.map_err(BusError::new)?;
        let messages = consumer
            .stream()
            .max_messages_per_batch(FETCH_BATCH)
            .expires(FETCH_EXPIRES)
            .heartbeat(FETCH_HEARTBEAT)
            .messages()
            .await
            .map_err(BusError::new)?;
        Ok(JetStreamIncoming { messages, context: context.to_owned() })
    }

    pub(crate) async fn flush(&self) {
        // If the broker is unreachable, it redelivers the events whose acknowledgement it did not receive.
        let _ = timeout(FLUSH_TIMEOUT, self.client.flush()).await;
    }

    /// The number of events that a consumer has not settled.
    pub async fn unsettled(&self, context: &str, consumer: &str) -> Result<u64, BusError> {
        let found = self.context.get_consumer_from_stream(consumer, self.stream_name(context)).await;
        let consumer: jetstream::consumer::PullConsumer = found.map_err(BusError::new)?;
        let info = consumer.cached_info();
        Ok(info.num_pending + u64::try_from(info.num_ack_pending).unwrap_or_default())
    }
}

fn partition(aggregate: &str) -> u32 {
    // FNV-1a gives the same result in every version and on every machine.
    let hash = aggregate.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    hash % PARTITIONS
}

/// CloudEvents 1.0 attributes (binary mode), the broker's message id, and W3C trace context.
fn headers(envelope: &Envelope) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let id = envelope.id();
    headers.insert("Nats-Msg-Id", id.as_str());
    headers.insert("ce-specversion", "1.0");
    headers.insert("ce-id", id);
    headers.insert("ce-source", format!("/jumun/{}", envelope.context));
    headers.insert("ce-type", format!("dev.jumun.{}.v1.{}", envelope.context, envelope.kind));
    headers.insert("ce-subject", envelope.aggregate.as_str());
    headers.insert("ce-number", envelope.number.to_string());
    headers.insert("ce-timemicros", envelope.time.0.to_string());
    if envelope.sequence > 0 {
        headers.insert("ce-sequence", envelope.sequence.to_string());
    }
    headers.insert("ce-datacontenttype", "application/protobuf");
    if let Some(traceparent) = &envelope.traceparent {
        headers.insert("traceparent", traceparent.as_str());
    }
    if let Some(causation) = &envelope.causation {
        headers.insert("ce-causationid", causation.as_str());
    }
    headers
}

fn decode(context: &str, delivered: &async_nats::Message) -> Result<Envelope, String> {
    let headers = delivered.headers.as_ref().ok_or("no headers")?;
    let header = |name: &str| headers.get(name).map(|value| value.as_str().to_owned());
    let required = |name: &str| header(name).ok_or_else(|| format!("no {name}"));
    let number = |name: &str| required(name)?.parse::<i64>().map_err(|error| format!("{name}: {error}"));
    let kind = required("ce-type")?;
    Ok(Envelope {
        context: context.to_owned(),
        sequence: header("ce-sequence").and_then(|sequence| sequence.parse().ok()).unwrap_or_default(),
        aggregate: required("ce-subject")?,
        number: number("ce-number")?,
        kind: kind.rsplit('.').next().unwrap_or_default().to_owned(),
        payload: delivered.payload.to_vec(),
        time: Time(number("ce-timemicros")?),
        traceparent: header("traceparent"),
        causation: header("ce-causationid"),
    })
}

/// The deliveries of one consumer.
pub struct JetStreamIncoming {
    messages: pull::Stream,
    context: String,
}

impl JetStreamIncoming {
    /// Returns deliveries that were not started.
    pub(crate) async fn return_unstarted(&mut self) {
        while let Some(Some(Ok(delivery))) = self.next().now_or_never() {
            delivery.retry(RETURN_DELAY).await;
        }
    }

    /// The next delivery. After an error or None the caller must subscribe again.
    pub async fn next(&mut self) -> Option<Result<JetStreamDelivery, BusError>> {
        let delivered = match self.messages.next().await? {
            Ok(delivered) => delivered,
            // After a missed heartbeat the stream yields nothing more: the caller must subscribe again.
            Err(error) => return Some(Err(BusError::new(error))),
        };
        let attempt = delivered.info().map_or(1, |info| u32::try_from(info.delivered).unwrap_or(u32::MAX));
        let envelope = decode(&self.context, &delivered.message).map(Arc::new);
        Some(Ok(JetStreamDelivery { envelope, attempt, delivered }))
    }
}

/// An event to settle. If it is dropped, the broker delivers it again.
pub struct JetStreamDelivery {
    envelope: Result<Arc<Envelope>, String>,
    attempt: u32,
    delivered: jetstream::Message,
}

impl JetStreamDelivery {
    /// The event, or why it cannot be read.
    pub fn envelope(&self) -> Result<Arc<Envelope>, String> {
        self.envelope.clone()
    }

    /// The number of deliveries of this event, including this one.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Acknowledges the event: it was applied, or became a dead letter.
    pub async fn settle(self) {
        self.acknowledge(AckKind::Ack).await;
    }

    /// Requests redelivery after `delay`: the event could not be applied now.
    pub async fn retry(self, delay: Duration) {
        self.acknowledge(AckKind::Nak(Some(delay))).await;
    }

    /// Sends the acknowledgement, after the commit. If it gets lost, the event is redelivered and the inbox skips it.
    async fn acknowledge(&self, kind: AckKind) {
        if let Err(error) = self.delivered.ack_with(kind).await {
            tracing::debug!(%error, "acknowledgement lost");
        }
    }
}
