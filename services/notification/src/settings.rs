//! The settings of the notification context.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use engine::StateName;
use http::Uri;
use runtime::ContextSetting;

use crate::domain::Channel;

const CONTEXT: &str = "notification";
/// The optional prefix of a secret in Standard Webhooks.
const SECRET_PREFIX: &str = "whsec_";
/// The least and the greatest length of a secret.
const MIN_SECRET_BYTES: usize = 24;
const MAX_SECRET_BYTES: usize = 64;

/// The channel of notifications without one.
pub(crate) const CHANNEL: ContextSetting = ContextSetting {
    context: CONTEXT,
    name: "channel",
    help: "Channel of notifications without one: kakao (the simulated inbox) or webhook",
    default: "kakao",
    is_secret: false,
    check: |text| read_channel(text).map(drop),
};

/// The URL of the webhook.
pub(crate) const WEBHOOK_URL: ContextSetting = ContextSetting {
    context: CONTEXT,
    name: "webhook-url",
    help: "URL of the webhook channel: https://… or http://…; not set: no webhook channel",
    default: "",
    is_secret: false,
    check: |text| read_url(text).map(drop),
};

/// The key that signs webhooks.
pub(crate) const WEBHOOK_SECRET: ContextSetting = ContextSetting {
    context: CONTEXT,
    name: "webhook-secret",
    help: "Key that signs webhooks: 24 to 64 bytes in Base64, e.g. from `openssl rand -base64 32`",
    default: "",
    is_secret: true,
    check: |text| if text.is_empty() { Ok(()) } else { read_secret(text).map(drop) },
};

/// All of them.
pub const ALL: &[&ContextSetting] = &[&CHANNEL, &WEBHOOK_URL, &WEBHOOK_SECRET];

pub(crate) fn read_channel(text: &str) -> Result<Channel, String> {
    Channel::of_name(&text.to_ascii_uppercase()).map_err(|_| "must be kakao or webhook".to_owned())
}

/// The target of the webhook; None when there is none.
pub(crate) fn read_url(text: &str) -> Result<Option<Uri>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let url: Uri = text.parse().map_err(|error| format!("is not a URL: {error}"))?;
    let is_http = matches!(url.scheme_str(), Some("http" | "https"));
    let host = url.authority().filter(|authority| !authority.as_str().contains('@'));
    if is_http && host.is_some() {
        Ok(Some(url))
    } else {
        Err("must be https://HOST/… or http://HOST/…".to_owned())
    }
}

pub(crate) fn read_secret(text: &str) -> Result<Vec<u8>, String> {
    let wrong = || format!("must be {MIN_SECRET_BYTES} to {MAX_SECRET_BYTES} bytes in Base64");
    let bytes = STANDARD.decode(text.strip_prefix(SECRET_PREFIX).unwrap_or(text)).map_err(|_| wrong())?;
    if (MIN_SECRET_BYTES..=MAX_SECRET_BYTES).contains(&bytes.len()) { Ok(bytes) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_http_to_a_host_is_a_target() {
        for right in ["https://hooks.example/jumun?x=1", "http://127.0.0.1:9000"] {
            assert!(read_url(right).expect(right).is_some());
        }
        for wrong in ["ftp://h/", "file:///etc/passwd", "https://", "/path", "https://user:secret@h/", "h:80"] {
            assert!(read_url(wrong).is_err(), "{wrong}");
        }
        assert_eq!(read_url(""), Ok(None));
    }

    #[test]
    fn a_secret_is_long_enough_and_never_repeated_in_an_error() {
        let secret = STANDARD.encode([7; 32]);
        assert_eq!(read_secret(&secret), Ok(vec![7; 32]));
        assert_eq!(read_secret(&format!("whsec_{secret}")), Ok(vec![7; 32]));
        for wrong in ["c2hvcnQ=", "not base64 at all, but a long sentence"] {
            assert!(!read_secret(wrong).expect_err(wrong).contains(wrong));
        }
    }
}
