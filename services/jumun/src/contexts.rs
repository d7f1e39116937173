//! The list of contexts. README.md, "A new context", says what else one needs; a test here names what was forgotten.

#[cfg(test)]
mod tests;

use runtime::{Context, ContextSetting};

/// Every context, in the order of the money.
pub(crate) fn all() -> Vec<Context> {
    vec![
        order::context(),
        payment::context(),
        store::context(),
        delivery::context(),
        enrollment::context(),
        education::context(),
        customer::context(),
        notification::context(),
        kitchen::context(),
        warehouse::context(),
        dashboard::context(),
    ]
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
