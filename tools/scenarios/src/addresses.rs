//! Where the contexts of the instance answer.

use std::collections::BTreeMap;

use client::Connector;

/// Where each context answers.
pub(crate) struct Addresses<'a> {
    pub(crate) default: &'a str,
    pub(crate) overrides: &'a BTreeMap<String, String>,
    pub(crate) connector: &'a Connector,
}

impl Addresses<'_> {
    /// The context's own address, or everybody's.
    pub(crate) fn for_context(&self, context: &str) -> &str {
        self.overrides.get(context).map_or(self.default, String::as_str)
    }
}
