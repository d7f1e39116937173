//! Measures calls as they end, with OpenTelemetry's names.

use std::{sync::OnceLock, time::Duration};

use jumun_core::{ServiceVersion, code};
use prometheus::{Histogram, HistogramOpts, HistogramVec, Registry};
use tonic::Code;

use crate::{
    method::{Method, MethodTable},
    metrics::CALL_DURATION,
};

/// gRPC has so many codes.
const CODES: usize = code::NAMES.len();
/// Seconds, as OpenTelemetry advises for `rpc.server.call.duration`; and one below, for what is in memory.
const DURATION_BUCKETS: [f64; 15] =
    [0.001, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// A histogram for each method and code, made when it is first needed.
pub struct Meters {
    durations: HistogramVec,
    by_method: Vec<[OnceLock<Histogram>; CODES]>,
}

impl Meters {
    /// Registers the metric; every series has the version of the process.
    pub fn new(registry: &Registry, methods: &MethodTable, version: &ServiceVersion) -> prometheus::Result<Self> {
        let labels = CALL_DURATION.constant_labels.iter().zip(["grpc", version.as_str()]);
        let options = HistogramOpts::new(CALL_DURATION.name, CALL_DURATION.help)
            .const_labels(labels.map(|(label, value)| ((*label).to_owned(), value.to_owned())).collect())
            .buckets(DURATION_BUCKETS.to_vec());
        let durations = HistogramVec::new(options, CALL_DURATION.labels)?;
        registry.register(Box::new(durations.clone()))?;
        let by_method = methods.iter().map(|_| Default::default()).collect();
        Ok(Self { durations, by_method })
    }

    /// Notes that a call took so long and ended so.
    pub(crate) fn observe(&self, method: &Method, code: Code, took: Duration) {
        self.by_method[method.index][code::index(code)]
            .get_or_init(|| self.durations.with_label_values(&[method.name.as_str(), code::name(code)]))
            .observe(took.as_secs_f64());
    }
}
