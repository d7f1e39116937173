//! A webhook: an HTTP POST of JSON, signed as Standard Webhooks (standardwebhooks.com) has it.
//!
//! The id of the notification is the idempotency key: what is sent again has the same. Neither the secret nor what is
//! said is ever logged, and the receiver's body is never read.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{Request, StatusCode, Uri, header::CONTENT_TYPE};
use http_body_util::Full;
use hyper::body::Bytes;
use jumun_core::{Clock, Error, Time, time::timeout};
use net::{fetch, fetch::Unanswered, tls::Trust};
use ring::hmac;

use super::{Courier, Outcome};
use crate::{domain::Notification, reasons};

/// How long the receiver may take until its answer begins. What takes longer is unknown.
const TIMEOUT: Duration = Duration::from_millis(1500);

/// Posts to one target.
pub(crate) struct Webhook {
    url: Uri,
    key: hmac::Key,
    trust: Trust,
    clock: Clock,
}

impl Webhook {
    pub(crate) fn new(url: Uri, secret: &[u8], trust: Trust, clock: Clock) -> Self {
        Self { url, key: hmac::Key::new(hmac::HMAC_SHA256, secret), trust, clock }
    }

    fn request(&self, notification: &Notification, now: Time) -> Result<Request<Full<Bytes>>, Error> {
        let seconds = now.0 / 1_000_000;
        let body = body(notification);
        let signed = hmac::sign(&self.key, format!("{}.{seconds}.{body}", notification.id).as_bytes());
        Request::post(&self.url)
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", &notification.id)
            .header("webhook-timestamp", seconds)
            .header("webhook-signature", format!("v1,{}", STANDARD.encode(signed)))
            .body(Full::from(body))
            .map_err(Error::internal)
    }
}

fn body(notification: &Notification) -> String {
    serde_json::json!({
        "notification": notification.name(),
        "recipient": notification.recipient,
        "about": notification.about,
        "occasion": notification.occasion,
        "text": notification.text,
    })
    .to_string()
}

/// What an answer's status means. A receiver that is busy or broken may have taken it or not: it is asked again.
fn outcome(status: StatusCode) -> Result<Outcome, Error> {
    match status {
        _ if status.is_success() => Ok(Outcome::Delivered),
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => Err(failed(status)),
        _ if status.is_server_error() => Err(failed(status)),
        _ => Ok(Outcome::Refused(format!("WEBHOOK_ANSWERED_{}", status.as_u16()))),
    }
}

fn failed(status: StatusCode) -> Error {
    Error::new(&reasons::CHANNEL_FAILED, format!("the webhook's receiver answered {}", status.as_u16()))
}

#[tonic::async_trait]
impl Courier for Webhook {
    async fn deliver(&self, notification: &Notification) -> Result<Outcome, Error> {
        let request = self.request(notification, self.clock.now())?;
        match timeout(TIMEOUT, fetch::send(request, &self.trust)).await {
            Ok(Ok(answer)) => outcome(answer.status()),
            Ok(Err(unanswered @ (Unanswered::NotSent(_) | Unanswered::Unknown(_)))) => {
                tracing::debug!(notification = notification.id, %unanswered, "a webhook without an answer");
                Err(Error::new(&reasons::CHANNEL_FAILED, "the webhook's receiver cannot be reached"))
            }
            Err(_) => Err(Error::new(&reasons::CHANNEL_TIMED_OUT, "the webhook's receiver did not answer in time")),
        }
    }

    /// Nothing calls back what was sent, and nobody else knows whether it came: it is sent again, and the answer counts.
    async fn withdraw(&self, notification: &Notification) -> Result<Outcome, Error> {
        self.deliver(notification).await
    }
}
