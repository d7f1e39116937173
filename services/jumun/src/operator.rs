//! The connection of the operator's commands to AdminService, and the forms in which they print answers.

use std::time::Duration;

use anyhow::Context as _;
use client::{AuthenticatedChannel, Connector, code_name};
use contracts::{POOL, admin::v1::admin_service_client::AdminServiceClient};
use prost_reflect::DynamicMessage;
use prost_types::Timestamp;
use serde_json::Value as Json;
use tonic::Status;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longer than the server's deadline, so that its answer arrives.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// The integers below this limit are exact as floating-point numbers (2^53).
const MAX_INTEGER: f64 = 9_007_199_254_740_992.0;
/// The maximum page size of every list.
pub(crate) const PAGE_SIZE: i32 = 100;

/// AdminService of a running instance.
pub(crate) type AdminClient = AdminServiceClient<AuthenticatedChannel>;

/// Connects to the instance at this address.
pub(crate) async fn connect(address: &str, connector: &Connector) -> anyhow::Result<AuthenticatedChannel> {
    let endpoint = connector.endpoint(address)?.connect_timeout(CONNECT_TIMEOUT).timeout(CALL_TIMEOUT);
    let channel = endpoint.connect().await;
    Ok(connector.authenticate(channel.with_context(|| format!("cannot connect to {address} (is jumun running?)"))?))
}

/// A failed call as one line, e.g. `NOT_FOUND: deadLetters/store-1 does not exist`.
pub(crate) fn explain(status: &Status) -> anyhow::Error {
    anyhow::anyhow!("{}: {}", code_name(status.code()), status.message())
}

/// A message of AdminService as canonical proto3 JSON.
pub(crate) fn to_json(name: &str, message: &impl prost::Message) -> anyhow::Result<Json> {
    let of = POOL.get_message_by_name(&format!("jumun.admin.v1.{name}")).context("a message of the contracts")?;
    let mut dynamic = DynamicMessage::new(of);
    dynamic.transcode_from(message)?;
    let mut json = serde_json::to_value(dynamic)?;
    write_integers(&mut json);
    Ok(json)
}

/// Writes whole numbers without a fraction: a `google.protobuf.Struct` has only floating-point numbers.
fn write_integers(json: &mut Json) {
    match json {
        Json::Array(items) => items.iter_mut().for_each(write_integers),
        Json::Object(fields) => fields.values_mut().for_each(write_integers),
        Json::Number(number) => {
            let whole = number.as_f64().filter(|number| number.fract() == 0.0 && number.abs() < MAX_INTEGER);
            if let Some(whole) = whole.and_then(|whole| format!("{whole:.0}").parse::<i64>().ok()) {
                *json = whole.into();
            }
        }
        _ => {}
    }
}

/// A time as RFC 3339; empty if absent.
pub(crate) fn time(time: Option<Timestamp>) -> String {
    time.map(|time| time.to_string()).unwrap_or_default()
}
