//! The settings of a process that are the same for each of its contexts.

use jumun_core::ServiceVersion;

/// The default of [`Settings::provider_calls`].
pub const DEFAULT_PROVIDER_CALLS: usize = 1024;

/// The settings of a process.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whether gRPC server reflection is served.
    pub reflection: bool,
    /// Whether calls beyond the limits are rejected. Off, for comparison: every call waits.
    pub overload_protection: bool,
    /// Concurrent calls to each external provider.
    pub provider_calls: usize,
    /// The label that tells replicas of different versions apart, e.g. `canary`.
    pub service_version: ServiceVersion,
    /// Whether operators may inject faults.
    pub drills: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            reflection: true,
            overload_protection: true,
            provider_calls: DEFAULT_PROVIDER_CALLS,
            service_version: ServiceVersion::default(),
            drills: false,
        }
    }
}
