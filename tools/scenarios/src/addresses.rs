//! The addresses of the contexts.

use std::collections::BTreeMap;

use client::Connector;

/// The address of each context.
pub(crate) struct Addresses<'a> {
    pub(crate) default: &'a str,
    pub(crate) overrides: &'a BTreeMap<String, String>,
    pub(crate) connector: &'a Connector,
}

impl Addresses<'_> {
    /// The address of the context, or the default one.
    pub(crate) fn for_context(&self, context: &str) -> &str {
        self.overrides.get(context).map_or(self.default, String::as_str)
    }
}
