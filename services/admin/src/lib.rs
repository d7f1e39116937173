//! The services of every process beside those of its contexts: AdminService for operators, BenchService for benchmarks.

mod bench;
mod dead_letters;
mod events;
mod faults;
mod overload_status;
mod service;

use runtime::{Operations, Platform, ServiceRegistry};
use transcode::About;

/// The platform that every context of Jumun runs on.
pub fn platform() -> Platform {
    Platform {
        contracts: contracts::contracts(),
        about: About { title: "Jumun", version: env!("CARGO_PKG_VERSION") },
        services: &["jumun.bench.v1.BenchService"],
        serve,
    }
}

fn serve(registry: &mut ServiceRegistry, operations: Operations) {
    registry.serve(bench::Bench::service());
    registry.serve(service::Admin::service(operations));
}
