//! The catalogue of metrics. A metric is defined from its entry, and docs/reference/metrics.md is written from the same.

/// How a metric is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// It only grows while the process runs.
    Counter,
    /// It is as it is now.
    Gauge,
    /// It is a distribution: `_bucket`, `_sum` and `_count`.
    Histogram,
}

/// A metric of the page at `/metrics`.
#[derive(Debug)]
pub struct Metric {
    /// Its name in the Prometheus text format.
    pub name: &'static str,
    /// How it is to be read.
    pub kind: MetricKind,
    /// What its values count, in the plural, e.g. "seconds".
    pub unit: &'static str,
    /// Labels that tell its series apart.
    pub labels: &'static [&'static str],
    /// Labels that have one value wherever the metric is registered, e.g. the version of the process.
    pub constant_labels: &'static [&'static str],
    /// One sentence.
    pub help: &'static str,
}

/// Writes entries of the catalogue, as constants, and `ALL` of them.
#[macro_export]
macro_rules! metrics {
    ($($entry:ident: $kind:ident $name:literal in $unit:literal [$($label:ident),*] $(constant [$($constant:ident),*])?,
        $help:literal;)*) => {
        $(
            #[doc = $help]
            pub const $entry: $crate::Metric = $crate::Metric {
                name: $name,
                kind: $crate::MetricKind::$kind,
                unit: $unit,
                labels: &[$(stringify!($label)),*],
                constant_labels: &[$($(stringify!($constant)),*)?],
                help: $help,
            };
        )*
        /// Every one of them.
        pub const ALL: &[&$crate::Metric] = &[$(&$entry),*];
    };
}
