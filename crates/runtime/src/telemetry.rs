//! Telemetry: logs to standard error, and traces over OTLP.

use std::{sync::OnceLock, time::Duration};

use jumun_core::{
    ServiceVersion,
    trace::{self, TARGET},
};
use opentelemetry::{KeyValue, trace::TracerProvider};
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::{Resource, propagation::TraceContextPropagator, trace::SdkTracerProvider};
use tracing_subscriber::{
    EnvFilter, Layer, Registry, filter::FilterExt, layer::SubscriberExt, util::SubscriberInitExt,
};

/// How long shutdown waits for the export of the last spans.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

static PROVIDER: OnceLock<SdkTracerProvider> = OnceLock::new();

/// The format of logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Text for people.
    Pretty,
    /// One JSON object per line.
    Json,
}

/// Starts logging, and tracing if OTEL_EXPORTER_OTLP_ENDPOINT names a collector. Call it once, within a tokio runtime.
/// `version` is the `service.version` of the traces. Fails when a subscriber is set already or the endpoint is invalid.
pub fn start(format: LogFormat, version: &ServiceVersion) -> anyhow::Result<()> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,async_nats=warn"));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match format {
        LogFormat::Pretty => lines.with_target(false).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let not_traces = tracing_subscriber::filter::filter_fn(|metadata| metadata.target() != TARGET);
    let lines = lines.with_filter(filter.and(not_traces)).boxed();
    let traces = start_traces(version)?.map(|tracer| {
        let only_traces = tracing_subscriber::filter::filter_fn(|metadata| metadata.target() == TARGET);
        tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_location(false)
            .with_threads(false)
            .with_filter(only_traces)
    });
    let mut layers = vec![lines];
    layers.extend(traces.map(Layer::boxed));
    tracing_subscriber::registry().with(layers).try_init()?;
    Ok(())
}

fn start_traces(version: &ServiceVersion) -> anyhow::Result<Option<opentelemetry_sdk::trace::SdkTracer>> {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let disabled = set("OTEL_SDK_DISABLED").is_some_and(|value| value == "true");
    let endpoint = set("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT").or_else(|| set("OTEL_EXPORTER_OTLP_ENDPOINT"));
    let Some(endpoint) = endpoint.filter(|_| !disabled) else { return Ok(None) };
    let exporter = opentelemetry_otlp::SpanExporter::builder().with_tonic().with_endpoint(endpoint).build()?;
    let mut resource = Resource::builder().with_attribute(KeyValue::new("service.version", version.to_string()));
    if set("OTEL_SERVICE_NAME").is_none() {
        resource = resource.with_attribute(KeyValue::new("service.name", "jumun"));
    }
    // The batch processor has a bounded queue and its own thread, so that an unavailable collector slows no request.
    let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource.build()).build();
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    let tracer = provider.tracer("jumun");
    PROVIDER.get_or_init(|| provider);
    trace::start_recording();
    Ok(Some(tracer))
}

/// Exports the last spans; waits 2 s at most.
pub fn stop() {
    if let Some(provider) = PROVIDER.get()
        && let Err(error) = provider.shutdown_with_timeout(FLUSH_TIMEOUT)
    {
        tracing::debug!(%error, "the last spans were not exported");
    }
}
