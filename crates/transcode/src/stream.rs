//! Writes server streams as server-sent events or, if the client accepts it, as NDJSON (one JSON document per line).

use std::time::Duration;

use futures::stream;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body_util::StreamBody;
use hyper::body::{Bytes, Frame};
use jumun_core::{
    Error,
    time::{Instant, sleep, sleep_until},
};
use prost_reflect::{DynamicMessage, FieldDescriptor};
use serde_json::json;
use tonic::{Status, Streaming, body::Body};

use crate::{
    answer::{copy_metadata, status_json},
    json,
};

/// The keep-alive interval of an idle stream, so that proxies do not close it and a disconnected client is detected.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// The format of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// `text/event-stream`.
    Events,
    /// `application/x-ndjson`.
    Lines,
}

impl Format {
    /// The format that a client accepts; events by default.
    pub(crate) fn accepted(headers: &HeaderMap) -> Self {
        let given = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let mut types = given.flat_map(|value| value.split(',')).filter_map(|value| value.split(';').next());
        if types.any(|kind| kind.trim().eq_ignore_ascii_case("application/x-ndjson")) {
            Self::Lines
        } else {
            Self::Events
        }
    }

    fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Events => "text/event-stream",
            Self::Lines => "application/x-ndjson",
        })
    }

    fn message(self, json: &[u8]) -> Bytes {
        match self {
            Self::Events => [b"data: ", json, b"\n\n"].concat().into(),
            Self::Lines => [json, b"\n"].concat().into(),
        }
    }

    fn error(self, status: &Status) -> Bytes {
        match self {
            Self::Events => format!("event: error\ndata: {}\n\n", status_json(status)).into(),
            Self::Lines => format!("{}\n", json!({"error": status_json(status)})).into(),
        }
    }

    /// An event after the last message: without it, a browser's EventSource would reconnect.
    fn end(self) -> Option<Bytes> {
        (self == Self::Events).then(|| Bytes::from_static(b"event: end\ndata: {}\n\n"))
    }

    fn keep_alive(self) -> Bytes {
        Bytes::from_static(match self {
            Self::Events => b": keep-alive\n\n",
            Self::Lines => b"\n",
        })
    }
}

/// A stream of responses; dropping it cancels the call.
struct Responses {
    messages: Streaming<DynamicMessage>,
    format: Format,
    only: Option<FieldDescriptor>,
    /// The deadline of the caller, which a gRPC client would enforce itself.
    deadline: Option<Instant>,
    is_ended: bool,
}

/// Responds with the messages of a stream; `only` is the field of each message that is written, None: the whole
/// message.
pub(crate) fn respond(
    answer: tonic::Response<Streaming<DynamicMessage>>,
    format: Format,
    only: Option<FieldDescriptor>,
    timeout: Option<Duration>,
) -> Response<Body> {
    let (metadata, messages, _) = answer.into_parts();
    let deadline = timeout.map(|timeout| Instant::now() + timeout);
    let responses = Responses { messages, format, only, deadline, is_ended: false };
    let frames = stream::unfold(responses, |mut responses| async {
        let bytes = responses.next().await?;
        Some((Ok::<_, std::convert::Infallible>(Frame::data(bytes)), responses))
    });
    let mut response = Response::new(Body::new(StreamBody::new(frames)));
    *response.status_mut() = StatusCode::OK;
    let headers = response.headers_mut();
    copy_metadata(&metadata, headers);
    headers.insert(header::CONTENT_TYPE, format.content_type());
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

impl Responses {
    async fn next(&mut self) -> Option<Bytes> {
        if self.is_ended {
            return None;
        }
        let next = tokio::select! {
            next = self.messages.message() => next,
            () = sleep(KEEP_ALIVE_INTERVAL) => return Some(self.format.keep_alive()),
            () = until(self.deadline) => Err(Error::deadline_exceeded("the deadline passed; open it again").into()),
        };
        let written = next.and_then(|message| match message {
            Some(message) => Ok(Some(json::of_message(&message, self.only.as_ref())?)),
            None => Ok(None),
        });
        self.is_ended = !matches!(written, Ok(Some(_)));
        match written {
            Ok(Some(json)) => Some(self.format.message(&json)),
            Ok(None) => self.format.end(),
            Err(status) => Some(self.format.error(&status)),
        }
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_sent_to_clients_that_accept_them() {
        for (accept, expected) in [
            (None, Format::Events),
            (Some("*/*"), Format::Events),
            (Some("text/event-stream"), Format::Events),
            (Some("application/x-ndjson"), Format::Lines),
            (Some("text/html, Application/X-NDJSON;q=0.9"), Format::Lines),
        ] {
            let accept = accept.map(|accept| (header::ACCEPT, HeaderValue::from_static(accept)));
            assert_eq!(Format::accepted(&accept.into_iter().collect()), expected);
        }
    }

    #[test]
    fn each_format_distinguishes_messages_errors_and_the_end() {
        let status = Status::aborted("no");
        let error = r#"{"code":10,"details":[],"message":"no","status":"ABORTED"}"#;
        assert_eq!(Format::Events.message(b"{}"), "data: {}\n\n");
        assert_eq!(Format::Events.error(&status), format!("event: error\ndata: {error}\n\n"));
        assert_eq!(Format::Events.end().as_deref(), Some(&b"event: end\ndata: {}\n\n"[..]));
        assert_eq!(Format::Lines.message(b"{}"), "{}\n");
        assert_eq!(Format::Lines.error(&status), format!("{{\"error\":{error}}}\n"));
        assert_eq!(Format::Lines.end(), None);
    }
}
