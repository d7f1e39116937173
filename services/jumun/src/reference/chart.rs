//! helm/jumun/contexts.json: which contexts each context calls, and what the protos declare about its methods. The chart's
//! routes, timeouts and policies are rendered from it.

use std::collections::BTreeMap;

use prost_reflect::{MethodDescriptor, Value};
use runtime::Context;
use serde_json::{Map, json};

use crate::contexts;

/// The options, by their names in the file.
const OPTIONS: [(&str, &str); 3] =
    [("http", "google.api.http"), ("access", "jumun.options.v1.access"), ("deadline", "jumun.options.v1.deadline")];

pub(super) fn page() -> anyhow::Result<String> {
    let contexts: BTreeMap<_, _> =
        contexts::all().iter().map(|context| Ok((context.name, described(context)?))).collect::<anyhow::Result<_>>()?;
    Ok(serde_json::to_string_pretty(&contexts)? + "\n")
}

fn described(context: &Context) -> anyhow::Result<serde_json::Value> {
    let service = contexts::service_of(context.name)?;
    let methods: Map<_, _> = service
        .methods()
        .map(|method| Ok((method.name().to_owned(), declared(&method)?)))
        .collect::<anyhow::Result<_>>()?;
    let optional = contexts::OPTIONAL_CALLS.iter().filter(|(caller, _)| *caller == context.name);
    let calls: Vec<_> = context.calls.iter().chain(optional.map(|(_, callee)| callee)).collect();
    Ok(json!({"calls": calls, "service": service.full_name(), "methods": methods}))
}

fn declared(method: &MethodDescriptor) -> anyhow::Result<serde_json::Value> {
    let mut declared = Map::from_iter([("stream".to_owned(), method.is_server_streaming().into())]);
    for (name, extension) in OPTIONS {
        if let Some(Value::Message(message)) = jumun_core::contracts::option(method, extension) {
            declared.insert(name.to_owned(), serde_json::to_value(message)?);
        }
    }
    Ok(declared.into())
}
