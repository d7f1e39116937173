//! docs/reference/openapi.json, from the descriptors: what a process that runs every context serves at `/openapi.json`.

use prost_reflect::ServiceDescriptor;
use transcode::About;

use crate::contexts;

/// The version of the API, as the packages of the protos name it: a release does not change the file.
const API_VERSION: &str = "v1";

pub(super) fn page() -> anyhow::Result<String> {
    let platform = admin::platform();
    let contexts: Vec<_> = contexts::names().into_iter().map(contexts::service_of).collect::<anyhow::Result<_>>()?;
    let services = contexts.iter().map(ServiceDescriptor::full_name).chain([super::ADMIN]);
    let services: Vec<_> = services.chain(platform.services.iter().copied()).collect();
    let about = About { version: API_VERSION, ..platform.about };
    let document = transcode::describe(&platform.contracts, &services, &about)?;
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}
