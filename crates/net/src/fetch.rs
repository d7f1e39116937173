//! A bounded HTTP/1.1 client for external servers: one connection per request, and no redirects.

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

use crate::tls::ClientTls;

/// Maximum size of the head of a response, in bytes. The caller limits the body.
const MAX_HEAD_BYTES: usize = 16 * 1024;

/// Why there is no response.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The request was not sent.
    #[error("the request was not sent: {0}")]
    NotSent(String),
    /// The request may have been sent, and its outcome is unknown.
    #[error("no response: {0}")]
    Unknown(String),
}

/// Sends a request to the host of its URL on a new connection, and returns the response once its head has arrived. It
/// has no timeout: dropping the future closes the connection.
pub async fn send<B>(request: Request<B>, tls: &ClientTls) -> Result<Response<Incoming>, FetchError>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let url = request.uri().clone();
    let not_sent = |error: &dyn std::fmt::Display| FetchError::NotSent(error.to_string());
    let host = url.host().ok_or_else(|| not_sent(&"no host"))?.trim_matches(['[', ']']).to_owned();
    let is_tls = url.scheme_str() == Some("https");
    let port = url.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
    let stream = TcpStream::connect((host.as_str(), port)).await.map_err(|error| not_sent(&error))?;
    if is_tls {
        let stream = tls.connect(host, stream).await.map_err(FetchError::NotSent)?;
        exchange(stream, request).await
    } else {
        exchange(stream, request).await
    }
}

async fn exchange<B>(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    mut request: Request<B>,
) -> Result<Response<Incoming>, FetchError>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let url = std::mem::take(request.uri_mut());
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    *request.uri_mut() = path.parse().map_err(|_| FetchError::NotSent("no path".to_owned()))?;
    let host = url.authority().and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
    request.headers_mut().insert(HOST, host.ok_or_else(|| FetchError::NotSent("no host".to_owned()))?);
    let handshake =
        hyper::client::conn::http1::Builder::new().max_buf_size(MAX_HEAD_BYTES).handshake(TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.map_err(|error| FetchError::NotSent(error.to_string()))?;
    // The connection closes when the response and the sender are dropped.
    task::spawn(connection);
    sender.send_request(request).await.map_err(|error| FetchError::Unknown(error.to_string()))
}

/// Fetches the text at `url`; fails if it has more than `limit` bytes.
pub async fn get(url: &Uri, tls: &ClientTls, limit: u64) -> Result<String, String> {
    let request = Request::get(url).header("accept", "application/json").body(Empty::<Bytes>::new());
    let response = send(request.map_err(|error| error.to_string())?, tls).await.map_err(|error| error.to_string())?;
    if response.status() != StatusCode::OK {
        return Err(format!("the server responded with {}", response.status()));
    }
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let body = Limited::new(response.into_body(), limit).collect().await.map_err(|error| error.to_string())?;
    String::from_utf8(body.to_bytes().to_vec()).map_err(|error| error.to_string())
}
