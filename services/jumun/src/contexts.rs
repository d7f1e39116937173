//! The list of contexts, which build.rs writes. docs/how-to/add-a-context.md says what else one needs; a test here names
//! what was forgotten.

#[cfg(test)]
mod tests;

use anyhow::Context as _;
use contracts::POOL;
use prost_reflect::ServiceDescriptor;
use runtime::{Context, ContextSetting};

/// Calls that a context can do without (`ContextBuilder::channel_if_known`), which its own `calls` do not name.
#[cfg(test)]
pub(crate) const OPTIONAL_CALLS: [(&str, &str); 1] = [("order", "kitchen")];

/// Every context, in the order of Cargo.toml.
pub(crate) fn all() -> Vec<Context> {
    include!(concat!(env!("OUT_DIR"), "/contexts.rs"))
}

/// What contexts can be told.
pub(crate) fn settings() -> impl Iterator<Item = &'static ContextSetting> {
    [notification::settings::ALL].into_iter().flatten().copied()
}

/// The contexts of these names, or what is wrong with them.
pub(crate) fn named(names: &[String]) -> anyhow::Result<Vec<Context>> {
    let known = self::names();
    for name in names {
        anyhow::ensure!(known.contains(&name.as_str()), "there is no context {name:?}; there are {}", known.join(", "));
    }
    Ok(all().into_iter().filter(|context| names.iter().any(|name| name == context.name)).collect())
}

/// Every database: its context, and its own name.
pub(crate) fn databases() -> Vec<(&'static str, &'static str)> {
    let of = |context: Context| context.databases.into_iter().map(move |(schema, _)| (context.name, schema));
    all().into_iter().flat_map(of).collect()
}

/// Every context's name.
pub(crate) fn names() -> Vec<&'static str> {
    all().iter().map(|context| context.name).collect()
}

/// The service of a context.
pub(crate) fn service_of(context: &str) -> anyhow::Result<ServiceDescriptor> {
    let package = format!("jumun.{context}.v1");
    let service = POOL.services().find(|service| service.package_name() == package);
    service.with_context(|| format!("no contract has a service of {context}"))
}
