//! The declaration of a setting of a context.

/// A setting of one context: an environment variable `JUMUN_{CONTEXT}_{NAME}` and a flag `--{context}-{name}`.
#[derive(Debug)]
pub struct ContextSetting {
    /// The context that it belongs to.
    pub context: &'static str,
    /// Its name in kebab case, e.g. "webhook-url".
    pub name: &'static str,
    /// The help text of the flag.
    pub help: &'static str,
    /// The value when it is not set.
    pub default: &'static str,
    /// Whether its value is never printed.
    pub is_secret: bool,
    /// Validates a value. Err: what is wrong with it.
    pub check: fn(&str) -> Result<(), String>,
}

impl ContextSetting {
    /// The flag, without its hyphens, e.g. "things-webhook-url".
    pub fn flag(&self) -> String {
        format!("{}-{}", self.context, self.name)
    }

    /// The environment variable, e.g. "JUMUN_THINGS_WEBHOOK_URL".
    pub fn variable(&self) -> String {
        format!("JUMUN_{}", self.flag().replace('-', "_").to_uppercase())
    }
}
