//! What the code says of each context, as JSON: whom it calls, and what the protos declare about its methods. The chart
//! routes, times and lets in by it.

use std::collections::BTreeMap;

use anyhow::Context as _;
use contracts::POOL;
use prost_reflect::{MethodDescriptor, ServiceDescriptor, Value};
use runtime::Context;
use serde_json::{Map, json};

use crate::contexts;

/// The options that are told, by the names they are told under.
const OPTIONS: [(&str, &str); 3] =
    [("http", "google.api.http"), ("access", "jumun.options.v1.access"), ("deadline", "jumun.options.v1.deadline")];

/// The whole page.
pub(crate) fn page() -> anyhow::Result<String> {
    let contexts: BTreeMap<_, _> =
        contexts::all().iter().map(|context| Ok((context.name, described(context)?))).collect::<anyhow::Result<_>>()?;
    Ok(serde_json::to_string_pretty(&contexts)? + "\n")
}

/// The service of a context.
pub(crate) fn service_of(context: &str) -> anyhow::Result<ServiceDescriptor> {
    let package = format!("jumun.{context}.v1");
    let service = POOL.services().find(|service| service.package_name() == package);
    service.with_context(|| format!("no contract has a service of {context}"))
}

fn described(context: &Context) -> anyhow::Result<serde_json::Value> {
    let service = service_of(context.name)?;
    let methods: Map<_, _> = service
        .methods()
        .map(|method| Ok((method.name().to_owned(), declared(&method)?)))
        .collect::<anyhow::Result<_>>()?;
    let optional = contexts::OPTIONAL_CALLS.iter().filter(|(caller, _)| *caller == context.name);
    let calls: Vec<_> = context.calls.iter().chain(optional.map(|(_, callee)| callee)).collect();
    Ok(json!({"calls": calls, "service": service.full_name(), "methods": methods}))
}

fn declared(method: &MethodDescriptor) -> anyhow::Result<serde_json::Value> {
    let mut told = Map::from_iter([("stream".to_owned(), method.is_server_streaming().into())]);
    for (name, extension) in OPTIONS {
        if let Some(Value::Message(message)) = jumun_core::contracts::option(method, extension) {
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
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../helm/jumun/contexts.json");
        let written = std::fs::read_to_string(file).expect("helm/jumun/contexts.json");
        assert_eq!(written, page().expect("a page"), "`make docs` writes helm/jumun/contexts.json");
    }
}
