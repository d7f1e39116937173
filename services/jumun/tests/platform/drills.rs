//! Drills: the promises about overload, retry storms and hostile clients, tested with real processes and printed as
//! a table. Each has a short version among the tests, and one that `make drill-overload`, `make drill-retry-storm` and
//! `make drill-hygiene` run; the one behind a mesh is `make drill-breaker` alone.

#![expect(clippy::print_stdout, reason = "a drill shows what it measured")]

mod breaker;
mod hygiene;
mod load;
mod overload;
mod retry_storm;
pub(super) mod scrape;

use std::time::Duration;

use super::processes::cluster::ProcessCluster;

/// How large a drill is, and how exact: beside other tests, a short one is measured roughly.
struct Size {
    /// Concurrent calls of the payment provider; each takes 400–620 ms.
    provider_calls: u32,
    /// How long each phase lasts.
    lasting: Duration,
    /// The share of the capacity that must be used.
    share: f64,
    /// The share of the refused calls that must be refused in time.
    refused_in_time: f64,
}

const SHORT: Size = Size { provider_calls: 8, lasting: Duration::from_secs(4), share: 0.8, refused_in_time: 0.5 };
const FULL: Size = Size { provider_calls: 32, lasting: Duration::from_secs(15), share: 0.95, refused_in_time: 0.99 };

/// The load as a multiple of the capacity.
const OVERLOAD: f64 = 5.0;

/// Every context in one process, with a limited number of concurrent calls to the payment provider.
async fn platform(size: &Size, protection: &str) -> ProcessCluster {
    let mut cluster = ProcessCluster::whole();
    cluster.set("JUMUN_PROVIDER_CALLS", &size.provider_calls.to_string());
    cluster.set("JUMUN_OVERLOAD_PROTECTION", protection);
    cluster.set("RUST_LOG", "warn,jumun=info");
    cluster.start().await;
    cluster
}
