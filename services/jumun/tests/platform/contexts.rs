//! Every context, as services/jumun/Cargo.toml lists them.

use runtime::Context;

pub(crate) fn all() -> Vec<Context> {
    include!(concat!(env!("OUT_DIR"), "/contexts.rs"))
}

pub(crate) fn names() -> Vec<&'static str> {
    all().iter().map(|context| context.name).collect()
}
