//! What a context can be told when its process starts.

/// A setting of one context: `JUMUN_{CONTEXT}_{NAME}`, with a flag.
#[derive(Debug)]
pub struct ContextSetting {
    /// Whose it is.
    pub context: &'static str,
    /// In small letters and hyphens, e.g. "webhook-url".
    pub name: &'static str,
    /// What it is for.
    pub help: &'static str,
    /// What it is where nothing is said.
    pub default: &'static str,
    /// Whether it is never shown.
    pub is_secret: bool,
    /// What is wrong with a value, if anything is.
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
