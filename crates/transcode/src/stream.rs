//! Streams of answers: server-sent events or, when asked for, a JSON document per line.

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

/// How often a silent stream shows that it is alive, so that proxies keep it and a client that is gone is noticed.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// How a stream is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// `text/event-stream`.
    Events,
    /// `application/x-ndjson`.
    Lines,
}

impl Format {
    /// What a client accepts; events when it does not say.
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

    /// A browser would connect again unless it is told that this was all.
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

/// A stream under way; dropping it cancels the call.
struct Answers {
    messages: Streaming<DynamicMessage>,
    format: Format,
    only: Option<FieldDescriptor>,
    /// When the caller stops waiting; a gRPC client would see to it itself.
    deadline: Option<Instant>,
    over: bool,
}

/// Answers with every message of a stream.
pub(crate) fn respond(
    answer: tonic::Response<Streaming<DynamicMessage>>,
    format: Format,
    only: Option<FieldDescriptor>,
    timeout: Option<Duration>,
) -> Response<Body> {
    let (metadata, messages, _) = answer.into_parts();
    let deadline = timeout.map(|timeout| Instant::now() + timeout);
    let answers = Answers { messages, format, only, deadline, over: false };
    let frames = stream::unfold(answers, |mut answers| async {
        let bytes = answers.next().await?;
        Some((Ok::<_, std::convert::Infallible>(Frame::data(bytes)), answers))
    });
    let mut response = Response::new(Body::new(StreamBody::new(frames)));
    *response.status_mut() = StatusCode::OK;
    let headers = response.headers_mut();
    copy_metadata(&metadata, headers);
    headers.insert(header::CONTENT_TYPE, format.content_type());
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

impl Answers {
    async fn next(&mut self) -> Option<Bytes> {
        if self.over {
            return None;
        }
        let next = tokio::select! {
            next = self.messages.message() => next,
            () = sleep(KEEP_ALIVE_INTERVAL) => return Some(self.format.keep_alive()),
            () = until(self.deadline) => Err(Error::deadline_exceeded("the deadline passed; watch again").into()),
        };
        let written = next.and_then(|message| match message {
            Some(message) => Ok(Some(json::of_message(&message, self.only.as_ref())?)),
            None => Ok(None),
        });
        self.over = !matches!(written, Ok(Some(_)));
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
    fn lines_are_sent_to_those_who_ask_for_them() {
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
    fn each_format_tells_messages_errors_and_the_end_apart() {
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
