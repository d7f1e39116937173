//! `jumun bench`: load on a running instance over gRPC, compared with an empty method on the same connections.
//!
//! The loop is closed: each caller sends its next request after the previous response. With `--rate` it is open: calls
//! start when they are due, and latencies count from then, so a server that stalls cannot hide it. Only correct
//! responses count. Throughput counts the responses within the measured time. Latencies, refusals and errors include
//! the calls in progress when it ends; otherwise a server that stalls at the end would look better than it is.
//!
//! What the instance has accepted, it must carry on: `--until-settled` and `--probe-age` measure that, by the page of
//! metrics and the public API only.

mod ages;
mod args;
mod backlog;
mod caller;
mod load;
mod measure;
mod mix;
mod pace;
mod process;
mod progress;
mod report;
mod tally;
mod watch;

use std::{collections::BTreeSet, future::pending, io::Write, pin::pin, time::Duration};

use anyhow::Context;
use client::{AuthenticatedChannel, Connector};

pub use crate::args::{BenchArgs, Instance};
use crate::{measure::Bench, report::Report, watch::Pages};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Measures the instance and prints the result; fails if there are too many errors, or if it does not settle.
pub async fn run(args: &BenchArgs, instance: &Instance, connector: &Connector) -> anyhow::Result<()> {
    let metrics = metrics_addresses(args, instance);
    let bench = Bench {
        args,
        instance,
        channels: connect(&instance.order, args.connections, connector).await?,
        store: match args.probe_age {
            Some(_) => connect(&instance.store, 1, connector).await?.pop(),
            None => None,
        },
        pages: (!metrics.is_empty()).then(|| Pages { connector: connector.clone(), addresses: metrics.clone() }),
    };
    let mut interrupt = pin!(interrupted());
    let mut report = Report { args, instance, metrics: &metrics, runs: Vec::new() };
    for workload in args.workloads() {
        let (run, is_last) = bench.measure(&workload, interrupt.as_mut()).await?;
        report.runs.push(run);
        if is_last {
            break;
        }
    }
    let text = if args.is_json() { report.json() } else { report.text() };
    std::io::stdout().lock().write_all(text.as_bytes()).context("standard output")?;
    report.runs.iter().try_for_each(measure::Run::judge)
}

/// The processes whose metrics are read, each once.
fn metrics_addresses(args: &BenchArgs, instance: &Instance) -> Vec<String> {
    let addresses = match args.metrics_addr.is_empty() {
        _ if !args.until_settled => return Vec::new(),
        true => &instance.processes,
        false => &args.metrics_addr,
    };
    addresses.iter().cloned().collect::<BTreeSet<_>>().into_iter().collect()
}

async fn connect(address: &str, connections: u64, connector: &Connector) -> anyhow::Result<Vec<AuthenticatedChannel>> {
    let endpoint = connector.endpoint(address)?.connect_timeout(CONNECT_TIMEOUT);
    let mut channels = Vec::new();
    for _ in 0..connections {
        let channel = endpoint.connect().await;
        let channel = channel.with_context(|| format!("cannot connect to {address} (is jumun running?)"))?;
        channels.push(connector.authenticate(channel));
    }
    Ok(channels)
}

async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        // Without a handler, Ctrl-C ends the process.
        pending::<()>().await;
    }
}
