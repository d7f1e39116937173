//! Logs on standard error, traces by OTLP, and W3C trace context wherever work goes.

use std::{sync::OnceLock, time::Duration};

use opentelemetry::{
    Context, KeyValue,
    trace::{SpanContext, TraceContextExt, TracerProvider},
};
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::{Resource, propagation::TraceContextPropagator, trace::SdkTracerProvider};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::{
    EnvFilter, Layer, Registry, filter::FilterExt, layer::SubscriberExt, util::SubscriberInitExt,
};

use crate::{ServiceVersion, ambient};

/// The target of spans that are traces, not logs.
pub const TRACE_TARGET: &str = "jumun::trace";

/// How long the last spans may take to leave when the process ends.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

static PROVIDER: OnceLock<SdkTracerProvider> = OnceLock::new();

/// How logs are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// One JSON object a line.
    Json,
}

/// Starts logging, and tracing where OTEL_EXPORTER_OTLP_ENDPOINT names a collector. Call it once, within tokio.
/// Traces say that they are of this version.
pub fn start(format: LogFormat, version: &ServiceVersion) -> anyhow::Result<()> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,async_nats=warn"));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match format {
        LogFormat::Pretty => lines.with_target(false).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let not_traces = tracing_subscriber::filter::filter_fn(|metadata| metadata.target() != TRACE_TARGET);
    let lines = lines.with_filter(filter.and(not_traces)).boxed();
    let traces = start_traces(version)?.map(|tracer| {
        let only_traces = tracing_subscriber::filter::filter_fn(|metadata| metadata.target() == TRACE_TARGET);
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
    // The batch processor has a bounded queue and a thread of its own: a dead collector slows no request.
    let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource.build()).build();
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    let tracer = provider.tracer("jumun");
    PROVIDER.get_or_init(|| provider);
    Ok(Some(tracer))
}

/// Sends the last spans, within a bound.
pub fn stop() {
    if let Some(provider) = PROVIDER.get()
        && let Err(error) = provider.shutdown_with_timeout(FLUSH_TIMEOUT)
    {
        tracing::debug!(%error, "the last spans were not sent");
    }
}

/// Whether this process records traces.
pub fn is_tracing() -> bool {
    PROVIDER.get().is_some()
}

/// The W3C `traceparent` of the present work.
pub fn traceparent() -> Option<String> {
    if is_tracing() { traceparent_of(&Span::current()) } else { ambient::traceparent() }
}

fn traceparent_of(span: &Span) -> Option<String> {
    let context = span.context();
    let span = context.span();
    let span = span.span_context();
    span.is_valid().then(|| format!("00-{}-{}-{:02x}", span.trace_id(), span.span_id(), span.trace_flags()))
}

/// A span that is recorded as a trace, child of the work that `traceparent` names; none where nobody records.
#[macro_export]
macro_rules! trace_span {
    ($traceparent:expr, $name:literal, $($fields:tt)*) => {
        if $crate::telemetry::is_tracing() {
            let span = tracing::info_span!(target: $crate::telemetry::TRACE_TARGET, $name, $($fields)*);
            $crate::telemetry::set_parent(&span, $traceparent);
            span
        } else {
            tracing::Span::none()
        }
    };
}

/// Makes `span` a child of the work that `traceparent` names.
pub fn set_parent(span: &Span, traceparent: Option<&str>) {
    if let Some(parent) = traceparent.and_then(parse) {
        // A disabled span has no parent to set.
        let _ = span.set_parent(Context::new().with_remote_span_context(parent));
    }
}

/// Reads `00-<trace id>-<span id>-<flags>`.
fn parse(traceparent: &str) -> Option<SpanContext> {
    use opentelemetry::trace::{SpanId, TraceFlags, TraceId, TraceState};
    let mut parts = traceparent.split('-');
    let version = parts.next()?;
    let (trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?);
    let context = SpanContext::new(
        TraceId::from_hex(trace).ok()?,
        SpanId::from_hex(span).ok()?,
        TraceFlags::new(u8::from_str_radix(flags, 16).ok()?),
        true,
        TraceState::NONE,
    );
    (version.len() == 2 && trace.len() == 32 && span.len() == 16 && context.is_valid()).then_some(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_only_whole_trace_contexts() {
        assert!(parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").is_some());
        for wrong in ["", "00", "00-0af7-b7ad-01", "00-00000000000000000000000000000000-b7ad6b7169203331-01"] {
            assert!(parse(wrong).is_none(), "{wrong:?}");
        }
    }
}
