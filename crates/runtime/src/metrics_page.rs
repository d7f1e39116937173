//! The page of metrics: what was counted, and how full everything is at this moment.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use engine::{EngineHandle, dead_letters, outbox, storage::Database};
use eventing::{Bus, SubscriptionHandle};
use futures::future::{join, join_all};
use http::{HeaderValue, Method, Request, Response, header::CONTENT_TYPE};
use jumun_core::{
    Clock, Error, Metric, ServiceVersion,
    time::{Instant, timeout},
};
use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry, TEXT_FORMAT, TextEncoder};
use rpc::{Overload, State};
use tokio::sync::Mutex;
use tonic::body::Body;

use crate::metrics;

/// Where the page is.
const PATH: &str = "/metrics";

/// The page is made anew at most this often: some of it is asked of the databases.
const MADE_EVERY: Duration = Duration::from_secs(1);
/// A database or a bus that does not answer within this keeps its last figures: the rest is wanted just then.
const LOOK_WITHIN: Duration = Duration::from_millis(500);

/// Whether a request asks for the page.
pub(crate) fn is_asked_for(request: &Request<Body>) -> bool {
    request.uri().path() == PATH && matches!(*request.method(), Method::GET | Method::HEAD)
}

/// What is looked at when the page is made.
pub(crate) struct Sources {
    pub(crate) overload: Arc<Overload>,
    /// Engines that announce, and those that do not.
    pub(crate) engines: Vec<Arc<dyn EngineHandle>>,
    pub(crate) engines_without_events: Vec<Arc<dyn EngineHandle>>,
    pub(crate) subscriptions: Vec<Arc<dyn SubscriptionHandle>>,
    pub(crate) bus: Bus,
    pub(crate) clock: Clock,
}

/// What is at `/metrics`.
pub(crate) struct MetricsPage {
    registry: Registry,
    sources: Sources,
    gauges: Gauges,
    made: Mutex<Option<(Instant, String)>>,
}

struct Gauges {
    limit: IntGaugeVec,
    in_flight: IntGaugeVec,
    refused: IntCounterVec,
    circuit: IntGaugeVec,
    rejected: IntCounterVec,
    retries: IntCounterVec,
    retries_left: IntGaugeVec,
    bulkhead: IntGaugeVec,
    bulkhead_refused: IntCounterVec,
    queue: IntGaugeVec,
    unpublished: IntGaugeVec,
    oldest: IntGaugeVec,
    stalled: IntGaugeVec,
    dead_letters: IntGaugeVec,
    lag: IntGaugeVec,
    consumer_stalled: IntGaugeVec,
    connections: IntGaugeVec,
    connections_refused: IntCounterVec,
}

impl MetricsPage {
    pub(crate) fn new(
        registry: Registry,
        sources: Sources,
        version: &ServiceVersion,
        release: &str,
    ) -> prometheus::Result<Self> {
        for engine in sources.engines.iter().chain(&sources.engines_without_events) {
            registry.register(Box::new(engine.batch_sizes().clone()))?;
        }
        let gauges = Gauges::new(&registry, version, release)?;
        Ok(Self { registry, sources, gauges, made: Mutex::new(None) })
    }

    /// The page as it is now, or was a moment ago.
    pub(crate) async fn response(&self) -> Response<Body> {
        let mut made = self.made.lock().await;
        if made.as_ref().is_none_or(|(at, _)| at.elapsed() >= MADE_EVERY) {
            *made = Some((Instant::now(), self.make().await));
        }
        let text = made.as_ref().map(|(_, text)| text.clone()).unwrap_or_default();
        let mut response = Response::new(Body::new(http_body_util::Full::from(text)));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(TEXT_FORMAT));
        response
    }

    async fn make(&self) -> String {
        self.look_at_overload();
        for engine in self.sources.engines.iter().chain(&self.sources.engines_without_events) {
            let (context, (commands, events)) = (engine.database().schema(), engine.queued());
            set(&self.gauges.queue, &[context, "commands"], commands);
            set(&self.gauges.queue, &[context, "events"], events);
        }
        for engine in &self.sources.engines {
            let stalled = engine.stalled_since().map_or(Duration::ZERO, |since| self.sources.clock.now().since(since));
            set(&self.gauges.stalled, &[engine.database().schema()], stalled.as_secs());
        }
        for subscription in &self.sources.subscriptions {
            let stalled = subscription.stalled_for().unwrap_or_default();
            set(&self.gauges.consumer_stalled, &[subscription.name()], stalled.as_secs());
        }
        let outboxes =
            self.sources.engines.iter().map(|engine| timeout(LOOK_WITHIN, self.look_at_outbox(engine.database())));
        let consumers = self.sources.subscriptions.iter();
        let consumers =
            consumers.map(|subscription| timeout(LOOK_WITHIN, self.look_at_consumer(subscription.as_ref())));
        // The figures of what does not answer in time stay as they were.
        let _ = join(join_all(outboxes), join_all(consumers)).await;
        TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap_or_default()
    }

    fn look_at_overload(&self) {
        let (overload, gauges) = (&self.sources.overload, &self.gauges);
        for (method, limiter) in overload.limits() {
            set(&gauges.limit, &[&method.name], limiter.limit());
            set(&gauges.in_flight, &[&method.name], limiter.in_flight());
            raise(&gauges.refused, &[&method.name], limiter.refused());
        }
        for circuit in &overload.circuits {
            let (name, status) = (circuit.name(), circuit.status_now());
            for (state, is_it) in [
                ("closed", matches!(status.state, State::Closed)),
                ("open", matches!(status.state, State::Open(_))),
                ("half_open", matches!(status.state, State::HalfOpen { .. })),
            ] {
                set(&gauges.circuit, &[&name, state], u32::from(is_it));
            }
            raise(&gauges.rejected, &[&name], status.rejected);
            raise(&gauges.retries, &[&name], status.retried);
            set(&gauges.retries_left, &[&name], status.retries_left);
        }
        for bulkhead in &overload.bulkheads {
            set(&gauges.bulkhead, &[bulkhead.name(), "limit"], bulkhead.limit());
            set(&gauges.bulkhead, &[bulkhead.name(), "under_way"], bulkhead.in_flight());
            set(&gauges.bulkhead, &[bulkhead.name(), "waiting"], bulkhead.waiting());
            raise(&gauges.bulkhead_refused, &[bulkhead.name()], bulkhead.refused());
        }
        set(&gauges.connections, &[], overload.connections.open.load(Relaxed));
        raise(&gauges.connections_refused, &[], overload.connections.refused.load(Relaxed));
    }

    async fn look_at_consumer(&self, subscription: &dyn SubscriptionHandle) {
        match self.sources.bus.unsettled(subscription.source(), subscription.name()).await {
            Ok(lag) => set(&self.gauges.lag, &[subscription.name()], lag),
            Err(error) => tracing::debug!(%error, consumer = subscription.name(), "its metrics are old"),
        }
    }

    async fn look_at_outbox(&self, database: &Database) -> Result<(), Error> {
        let status = outbox::status(database).await?;
        set(&self.gauges.unpublished, &[database.schema()], status.unpublished);
        let age = status.oldest.map_or(Duration::ZERO, |oldest| self.sources.clock.now().since(oldest));
        set(&self.gauges.oldest, &[database.schema()], age.as_secs());
        set(&self.gauges.dead_letters, &[database.schema()], dead_letters::count(database).await?);
        Ok(())
    }
}

impl Gauges {
    fn new(registry: &Registry, version: &ServiceVersion, release: &str) -> prometheus::Result<Self> {
        let gauge = |metric: &Metric| {
            let gauge = IntGaugeVec::new(Opts::new(metric.name, metric.help), metric.labels)?;
            registry.register(Box::new(gauge.clone())).map(|()| gauge)
        };
        let counter = |metric: &Metric| {
            let counter = IntCounterVec::new(Opts::new(metric.name, metric.help), metric.labels)?;
            registry.register(Box::new(counter.clone())).map(|()| counter)
        };
        set(&gauge(&metrics::BUILD_INFO)?, &[release, version.as_str()], 1);
        Ok(Self {
            limit: gauge(&metrics::CALLS_LIMIT)?,
            in_flight: gauge(&metrics::CALLS_UNDER_WAY)?,
            refused: counter(&metrics::CALLS_REFUSED)?,
            circuit: gauge(&metrics::CIRCUIT_STATE)?,
            rejected: counter(&metrics::CIRCUIT_WITHHELD)?,
            retries: counter(&metrics::RETRIES)?,
            retries_left: gauge(&metrics::RETRIES_LEFT)?,
            bulkhead: gauge(&metrics::BULKHEAD_CALLS)?,
            bulkhead_refused: counter(&metrics::BULKHEAD_REFUSED)?,
            queue: gauge(&metrics::ENGINE_QUEUE_LENGTH)?,
            unpublished: gauge(&metrics::OUTBOX_UNPUBLISHED)?,
            oldest: gauge(&metrics::OUTBOX_OLDEST_AGE_SECONDS)?,
            stalled: gauge(&metrics::RELAY_STALLED_SECONDS)?,
            dead_letters: gauge(&metrics::DEAD_LETTERS)?,
            lag: gauge(&metrics::CONSUMER_LAG)?,
            consumer_stalled: gauge(&metrics::CONSUMER_STALLED_SECONDS)?,
            connections: gauge(&metrics::CONNECTIONS)?,
            connections_refused: counter(&metrics::CONNECTIONS_REFUSED)?,
        })
    }
}

fn set(gauge: &IntGaugeVec, labels: &[&str], value: impl TryInto<i64>) {
    gauge.with_label_values(labels).set(number(value));
}

/// Brings a counter up to what was counted elsewhere.
fn raise(counter: &IntCounterVec, labels: &[&str], to: u64) {
    let counter = counter.with_label_values(labels);
    counter.inc_by(to.saturating_sub(counter.get()));
}

fn number(value: impl TryInto<i64>) -> i64 {
    value.try_into().unwrap_or(i64::MAX)
}
