//! Fetches a small document over HTTP, within bounds.

use http_body_util::{BodyExt, Empty, Limited};
use hyper::{Request, StatusCode, Uri, body::Bytes, header::HOST};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

use crate::tls::Trust;

/// The body of the document at `url`, which has at most `limit` bytes. Redirects are not followed.
pub(crate) async fn get(url: &Uri, trust: &Trust, limit: u64) -> Result<String, String> {
    let host = url.host().ok_or("no host")?.trim_matches(['[', ']']).to_owned();
    let is_tls = url.scheme_str() == Some("https");
    let port = url.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
    let stream = TcpStream::connect((host.as_str(), port)).await.map_err(|error| error.to_string())?;
    if is_tls {
        let stream = trust.connect(host, stream).await?;
        ask(stream, url, limit).await
    } else {
        ask(stream, url, limit).await
    }
}

async fn ask(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    url: &Uri,
    limit: u64,
) -> Result<String, String> {
    let told = |error: hyper::Error| error.to_string();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(told)?;
    let connection = tokio::spawn(connection);
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    let host = url.authority().map_or("", |authority| authority.as_str());
    let request = Request::get(path).header(HOST, host).header("accept", "application/json");
    let request = request.body(Empty::<Bytes>::new()).map_err(|error| error.to_string())?;
    let response = sender.send_request(request).await.map_err(told)?;
    if response.status() != StatusCode::OK {
        return Err(format!("it answers {}", response.status()));
    }
    let body = Limited::new(response.into_body(), usize::try_from(limit).unwrap_or(usize::MAX))
        .collect()
        .await
        .map_err(|error| error.to_string())?;
    connection.abort();
    String::from_utf8(body.to_bytes().to_vec()).map_err(|error| error.to_string())
}
