//! W3C trace context: spans that are recorded as traces, and the `traceparent` that requests and events carry.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use opentelemetry::{
    Context,
    trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState},
};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::request_context;

/// The target of spans that are exported as traces and not logged.
pub const TARGET: &str = "jumun::trace";

static IS_RECORDING: AtomicBool = AtomicBool::new(false);

/// Turns the recording of traces on for this process.
pub fn start_recording() {
    IS_RECORDING.store(true, Relaxed);
}

/// Whether this process records traces.
pub fn is_recording() -> bool {
    IS_RECORDING.load(Relaxed)
}

/// The W3C `traceparent` of the current task.
pub fn traceparent() -> Option<String> {
    if is_recording() { traceparent_of(&Span::current()) } else { request_context::traceparent() }
}

fn traceparent_of(span: &Span) -> Option<String> {
    let context = span.context();
    let span = context.span();
    let span = span.span_context();
    span.is_valid().then(|| format!("00-{}-{}-{:02x}", span.trace_id(), span.span_id(), span.trace_flags()))
}

/// A span that is recorded as a trace, with the span that `traceparent` identifies as its parent; a disabled span if
/// the process records no traces.
#[macro_export]
macro_rules! trace_span {
    ($traceparent:expr, $name:literal, $($fields:tt)*) => {
        if $crate::trace::is_recording() {
            let span = tracing::info_span!(target: $crate::trace::TARGET, $name, $($fields)*);
            $crate::trace::set_parent(&span, $traceparent);
            span
        } else {
            tracing::Span::none()
        }
    };
}

/// Makes `span` a child of the span that `traceparent` identifies.
pub fn set_parent(span: &Span, traceparent: Option<&str>) {
    if let Some(parent) = traceparent.and_then(parse) {
        // It fails only for a disabled span.
        let _ = span.set_parent(Context::new().with_remote_span_context(parent));
    }
}

/// Parses `00-<trace id>-<span id>-<flags>`.
fn parse(traceparent: &str) -> Option<SpanContext> {
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
