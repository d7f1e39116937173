//! What the protos declare about the methods of each context, as JSON: what the chart routes, times and lets in by.

use std::collections::BTreeMap;

use anyhow::Context as _;
use contracts::POOL;
use jumun_core::contracts::option;
use prost_reflect::{MethodDescriptor, ServiceDescriptor, Value};
use serde_json::{Map, json};

use crate::contexts;

/// The options that are told, by the names they are told under.
const OPTIONS: [(&str, &str); 3] =
    [("http", "google.api.http"), ("access", "jumun.options.v1.access"), ("deadline", "jumun.options.v1.deadline")];

/// The whole page.
pub(crate) fn page() -> anyhow::Result<String> {
    let contexts: BTreeMap<_, _> =
        contexts::names().into_iter().map(|context| Ok((context, service(context)?))).collect::<anyhow::Result<_>>()?;
    Ok(serde_json::to_string_pretty(&contexts)? + "\n")
}

/// The service of a context.
pub(crate) fn service_of(context: &str) -> anyhow::Result<ServiceDescriptor> {
    let package = format!("jumun.{context}.v1");
    let service = POOL.services().find(|service| service.package_name() == package);
    service.with_context(|| format!("no contract has a service of {context}"))
}

fn service(context: &str) -> anyhow::Result<serde_json::Value> {
    let service = service_of(context)?;
    let methods: Map<_, _> = service
        .methods()
        .map(|method| Ok((method.name().to_owned(), declared(&method)?)))
        .collect::<anyhow::Result<_>>()?;
    Ok(json!({"service": service.full_name(), "methods": methods}))
}

fn declared(method: &MethodDescriptor) -> anyhow::Result<serde_json::Value> {
    let mut told = Map::from_iter([("stream".to_owned(), method.is_server_streaming().into())]);
    for (name, extension) in OPTIONS {
        if let Some(Value::Message(message)) = option(method, extension) {
            told.insert(name.to_owned(), serde_json::to_value(message)?);
        }
    }
    Ok(told.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chart_knows_what_the_protos_declare() {
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../helm/jumun/methods.json");
        let written = std::fs::read_to_string(file).expect("helm/jumun/methods.json");
        assert_eq!(written, page().expect("a page"), "`make docs` writes helm/jumun/methods.json");
    }
}
