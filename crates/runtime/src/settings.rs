//! How a process serves.

use jumun_core::ServiceVersion;

/// Calls to one provider at once, where nothing else is said.
pub const DEFAULT_PROVIDER_CALLS: usize = 1024;

/// The settings of a process.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whether callers may ask what there is to call.
    pub reflection: bool,
    /// Whether too much at once is refused. Off, everybody waits: to see what that is like.
    pub overload_protection: bool,
    /// Calls to each provider outside at once.
    pub provider_calls: usize,
    /// What tells this process apart from others that serve the same.
    pub service_version: ServiceVersion,
    /// Whether an operator may make calls fail.
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
