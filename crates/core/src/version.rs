//! The service version of a process, by which requests can select among processes that serve the same contexts.

use std::{fmt, str::FromStr};

/// The version of a process without a configured version.
pub const DEFAULT_SERVICE_VERSION: &str = "stable";
/// Maximum length in bytes: that of a DNS label (RFC 1035).
const MAX_VERSION_BYTES: usize = 63;

/// A service version: a DNS label, e.g. `stable` or `canary`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceVersion(String);

impl ServiceVersion {
    /// The version as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this text is a valid version.
    pub fn is_valid(text: &[u8]) -> bool {
        let is_inner = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-';
        let ends = [text.first(), text.last()];
        text.len() <= MAX_VERSION_BYTES
            && text.iter().all(is_inner)
            && ends.iter().all(|end| end.is_some_and(|byte| *byte != b'-'))
    }
}

impl Default for ServiceVersion {
    fn default() -> Self {
        Self(DEFAULT_SERVICE_VERSION.to_owned())
    }
}

impl FromStr for ServiceVersion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if Self::is_valid(text.as_bytes()) {
            return Ok(Self(text.to_owned()));
        }
        Err(format!("{text:?} is not a DNS label: a-z, 0-9 and, within, -; at most {MAX_VERSION_BYTES} characters"))
    }
}

impl fmt::Display for ServiceVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_a_dns_label() {
        let longest = "a".repeat(MAX_VERSION_BYTES);
        for right in ["stable", "canary", "v1", "2026-11-21", "a", "1", &longest] {
            assert_eq!(right.parse::<ServiceVersion>().map(|version| version.to_string()), Ok(right.to_owned()));
        }
        for wrong in ["", "-", "-a", "a-", "Canary", "v1.2", "a b", "카나리", &"a".repeat(MAX_VERSION_BYTES + 1)] {
            assert!(wrong.parse::<ServiceVersion>().is_err(), "{wrong:?}");
        }
    }
}
