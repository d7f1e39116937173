//! `health`: whether a running instance serves, told by the exit code. For where there is no shell and no grpcurl.

use std::{collections::BTreeMap, io::Write, time::Duration};

use anyhow::Context as _;
use client::Connector;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

use crate::contexts;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct HealthArgs {
    /// Contexts to ask about, each where it runs; the whole process when none is named
    #[arg(value_name = "CONTEXT")]
    contexts: Vec<String>,
}

/// Asks each of them; an error names the first that does not serve.
pub(crate) async fn run(
    args: &HealthArgs,
    address: &str,
    addresses: &BTreeMap<String, String>,
    connector: &Connector,
) -> anyhow::Result<()> {
    let whole = args.contexts.is_empty().then(|| ("the process", String::new(), address));
    let contexts = args.contexts.iter().map(|context| {
        let service = contexts::service_of(context)?.full_name().to_owned();
        Ok((context.as_str(), service, addresses.get(context).map_or(address, String::as_str)))
    });
    for asked in whole.map(anyhow::Ok).into_iter().chain(contexts) {
        let (name, service, address) = asked?;
        let status = status(service, address, connector).await.with_context(|| format!("{name} at {address}"))?;
        anyhow::ensure!(status == ServingStatus::Serving, "{name} at {address} is {}", status.as_str_name());
        writeln!(std::io::stdout(), "{name} at {address} is {}", status.as_str_name())?;
    }
    Ok(())
}

async fn status(service: String, address: &str, connector: &Connector) -> anyhow::Result<ServingStatus> {
    let endpoint = connector.endpoint(address)?.connect_timeout(CONNECT_TIMEOUT).timeout(CALL_TIMEOUT);
    let mut health = HealthClient::new(endpoint.connect().await?);
    Ok(health.check(HealthCheckRequest { service }).await?.into_inner().status())
}
