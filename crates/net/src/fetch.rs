//! One exchange over HTTP with somebody outside, within bounds. Redirects are not followed.

use http_body_util::{BodyExt, Empty, Limited};
use hyper::{
    Request, Response, StatusCode, Uri,
    body::{Body, Bytes, Incoming},
    header::{HOST, HeaderValue},
};
use hyper_util::rt::TokioIo;
use jumun_core::task;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

use crate::tls::Trust;

/// The largest head of an answer (bytes); the body is the caller's to read, or to leave.
const MAX_HEAD_BYTES: usize = 16 * 1024;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// Nothing was sent.
    #[error("nothing was sent: {0}")]
    NotSent(String),
    /// Something was sent, and nobody knows what became of it.
    #[error("no answer: {0}")]
    Unknown(String),
}

/// Sends a request to the host of its URL, on a connection of its own, and returns when the answer begins. Whoever
/// calls sets the bound of time: dropped, it ends the connection.
pub async fn send<B>(request: Request<B>, trust: &Trust) -> Result<Response<Incoming>, Unanswered>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let url = request.uri().clone();
    let not_sent = |error: &dyn std::fmt::Display| Unanswered::NotSent(error.to_string());
    let host = url.host().ok_or_else(|| not_sent(&"no host"))?.trim_matches(['[', ']']).to_owned();
    let is_tls = url.scheme_str() == Some("https");
    let port = url.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
    let stream = TcpStream::connect((host.as_str(), port)).await.map_err(|error| not_sent(&error))?;
    if is_tls {
        let stream = trust.connect(host, stream).await.map_err(Unanswered::NotSent)?;
        ask(stream, request).await
    } else {
        ask(stream, request).await
    }
}

async fn ask<B>(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    mut request: Request<B>,
) -> Result<Response<Incoming>, Unanswered>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let url = std::mem::take(request.uri_mut());
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    *request.uri_mut() = path.parse().map_err(|_| Unanswered::NotSent("no path".to_owned()))?;
    let host = url.authority().and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
    request.headers_mut().insert(HOST, host.ok_or_else(|| Unanswered::NotSent("no host".to_owned()))?);
    let shaken =
        hyper::client::conn::http1::Builder::new().max_buf_size(MAX_HEAD_BYTES).handshake(TokioIo::new(stream));
    let (mut sender, connection) = shaken.await.map_err(|error| Unanswered::NotSent(error.to_string()))?;
    // It ends when the answer and the sender are dropped.
    task::spawn(connection);
    sender.send_request(request).await.map_err(|error| Unanswered::Unknown(error.to_string()))
}

/// The body of the document at `url`, which has at most `limit` bytes.
pub async fn get(url: &Uri, trust: &Trust, limit: u64) -> Result<String, String> {
    let request = Request::get(url).header("accept", "application/json").body(Empty::<Bytes>::new());
    let response = send(request.map_err(|error| error.to_string())?, trust).await.map_err(|error| error.to_string())?;
    if response.status() != StatusCode::OK {
        return Err(format!("it answers {}", response.status()));
    }
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let body = Limited::new(response.into_body(), limit).collect().await.map_err(|error| error.to_string())?;
    String::from_utf8(body.to_bytes().to_vec()).map_err(|error| error.to_string())
}
