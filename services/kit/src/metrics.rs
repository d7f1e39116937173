//! Metrics for Prometheus, at `/metrics` on the port of everything else.
//!
//! Calls are measured as they end, with OpenTelemetry's names; everything else is looked at when the page is asked for.
//! Labels are methods, codes, contexts and consumers, of which there are few; never ids.

mod page;

use std::{sync::OnceLock, time::Duration};

use http::{Method as Verb, Request};
use prometheus::{Histogram, HistogramOpts, HistogramVec, Registry};
use tonic::{Code, body::Body};

pub(crate) use page::{Page, Sources};

use crate::{ServiceVersion, engine::MAX_BATCH, method::Method};

/// Where the page is.
const PATH: &str = "/metrics";
/// gRPC has so many codes.
const CODES: usize = 17;
/// Seconds, as OpenTelemetry advises for `rpc.server.call.duration`; and one below, for what is in memory.
const DURATION_BUCKETS: [f64; 15] =
    [0.001, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// Jobs in a transaction: 1, 2, 4 … MAX_BATCH.
const BATCH_BUCKETS: usize = MAX_BATCH.ilog2() as usize + 1;

/// Whether a request asks for the page.
pub(crate) fn is_asked_for(request: &Request<Body>) -> bool {
    request.uri().path() == PATH && matches!(*request.method(), Verb::GET | Verb::HEAD)
}

/// Measures calls; each method's histogram of each code is made when it is first needed.
pub(crate) struct Meters {
    durations: HistogramVec,
    by_method: Vec<[OnceLock<Histogram>; CODES]>,
}

impl Meters {
    /// Measures calls that come in.
    pub(crate) fn new(registry: &Registry, version: &ServiceVersion) -> prometheus::Result<Self> {
        let options =
            HistogramOpts::new("rpc_server_call_duration_seconds", "Calls that came in, until the answer began.")
                .const_label("rpc_system_name", "grpc")
                .const_label("service_version", version.as_str())
                .buckets(DURATION_BUCKETS.to_vec());
        let durations = HistogramVec::new(options, &["rpc_method", "rpc_response_status_code"])?;
        registry.register(Box::new(durations.clone()))?;
        let by_method = Method::all().iter().map(|_| Default::default()).collect();
        Ok(Self { durations, by_method })
    }

    /// Notes that a call took so long and ended so.
    pub(crate) fn observe(&self, method: &Method, code: Code, took: Duration) {
        // Every Code is one of seventeen; the first is OK.
        let cell = &self.by_method[method.index][usize::try_from(i32::from(code)).unwrap_or_default()];
        cell.get_or_init(|| self.durations.with_label_values(&[method.name.as_str(), name(code)]))
            .observe(took.as_secs_f64());
    }
}

/// Measures the transactions of one engine.
pub(crate) fn batch_sizes(context: &str) -> prometheus::Result<Histogram> {
    let options = HistogramOpts::new("jumun_engine_batch_size", "Jobs that shared a transaction.")
        .const_label("context", context)
        .buckets(prometheus::exponential_buckets(1.0, 2.0, BATCH_BUCKETS)?);
    Histogram::with_opts(options)
}

/// The code of this name; OK where there is none.
pub(crate) fn code(text: &str) -> Code {
    let mut codes = (0..CODES).filter_map(|number| i32::try_from(number).ok()).map(Code::from_i32);
    codes.find(|code| name(*code) == text).unwrap_or(Code::Ok)
}

/// A code as OpenTelemetry writes it.
pub(crate) fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
