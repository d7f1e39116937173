//! `jumun health`: checks a running instance and reports the result in the exit code, without a shell or grpcurl.

use std::{collections::BTreeMap, io::Write, time::Duration};

use anyhow::Context as _;
use client::Connector;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

use crate::contexts;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct HealthArgs {
    /// Contexts to check, each at its own address [default: the whole process]
    #[arg(value_name = "CONTEXT")]
    contexts: Vec<String>,
}

/// Checks each context; the error names the first one that is not serving.
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
    for target in whole.map(anyhow::Ok).into_iter().chain(contexts) {
        let (name, service, address) = target?;
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
