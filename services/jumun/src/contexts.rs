//! The list of contexts. A new context is its folder, its proto folder and one line here.

use kit::Context;

/// Every context, in the order of the money.
pub(crate) fn all() -> Vec<Context> {
    vec![
        order::context(),
        payment::context(),
        store::context(),
        delivery::context(),
        enrollment::context(),
        education::context(),
        dashboard::context(),
    ]
}

/// The contexts of these names, or what is wrong with them.
pub(crate) fn named(names: &[String]) -> anyhow::Result<Vec<Context>> {
    let known = self::names();
    for name in names {
        anyhow::ensure!(known.contains(&name.as_str()), "there is no context {name:?}; there are {}", known.join(", "));
    }
    Ok(all().into_iter().filter(|context| names.iter().any(|name| name == context.name)).collect())
}

/// Every context's name.
pub(crate) fn names() -> Vec<&'static str> {
    all().iter().map(|context| context.name).collect()
}
