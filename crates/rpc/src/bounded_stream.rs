//! Bounds the duration of a stream: an expired stream ends with an error status, so that its reader can tell it from
//! one that is complete.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use http::{HeaderMap, Response};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use jumun_core::{
    Error, reasons,
    time::{Sleep, sleep},
};
use tonic::{Status, body::Body};

/// Ends the body of a stream with `error` after `time`, unless it ended before.
pub(crate) fn bound(response: Response<Body>, time: Duration, error: Error) -> Response<Body> {
    response.map(|body| Body::new(Bounded { body, end: Box::pin(sleep(time)), error: Some(error) }))
}

/// The error of a stream that reached the longest duration that its method allows.
pub(crate) fn expired() -> Error {
    Error::new(&reasons::STREAM_EXPIRED, "the stream reached its longest duration; open it again")
}

struct Bounded {
    body: Body,
    end: Pin<Box<Sleep>>,
    /// None: the stream expired.
    error: Option<Error>,
}

impl HttpBody for Bounded {
    type Data = <Body as HttpBody>::Data;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Self::Data>, Status>>> {
        if self.error.is_none() {
            return Poll::Ready(None);
        }
        if self.end.as_mut().poll(cx).is_ready() {
            return Poll::Ready(self.error.take().map(|error| trailers(&error.into()).map(Frame::trailers)));
        }
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.error.is_none() || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

fn trailers(status: &Status) -> Result<HeaderMap, Status> {
    let mut trailers = HeaderMap::new();
    status.add_header(&mut trailers)?;
    Ok(trailers)
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use tonic::Code;

    use super::*;

    #[tokio::test]
    async fn a_stream_that_expires_ends_with_a_status_that_says_to_open_it_again() {
        let endless =
            Body::new(http_body_util::StreamBody::new(futures::stream::pending::<Result<Frame<_>, Status>>()));
        let response = bound(Response::new(endless), Duration::from_millis(10), expired());
        let body = response.into_body().collect().await.expect("it ends");
        let status = Status::from_header_map(body.trailers().expect("trailers")).expect("a status");
        assert_eq!((status.code(), jumun_core::reason_of(&status).as_str()), (Code::Unavailable, "STREAM_EXPIRED"));
    }

    #[tokio::test]
    async fn a_stream_that_ends_before_it_expires_is_unchanged() {
        let mut own = HeaderMap::new();
        own.insert("grpc-status", http::HeaderValue::from_static("0"));
        let frames = futures::stream::iter([Ok::<_, Status>(Frame::trailers(own.clone()))]);
        let body = Body::new(http_body_util::StreamBody::new(frames));
        let body = bound(Response::new(body), Duration::from_secs(60), expired()).into_body();
        assert_eq!(body.collect().await.expect("it ends").trailers(), Some(&own));
    }
}
