//! The listener: HTTP/1 and HTTP/2 on one port, with limits, and an end that never hangs.

use std::{future::poll_fn, task::Poll, time::Duration};

use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{
        conn::auto,
        graceful::{GracefulShutdown, Watcher},
    },
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
};
use tonic::body::Body;
use tower::ServiceExt;

use crate::{http::Doors, tls::Tls};

/// The largest request message (bytes).
pub const MAX_REQUEST_BYTES: usize = 256 * 1024;

/// Calls at once on one connection.
const MAX_CONCURRENT_STREAMS: u32 = 1024;
/// Bytes of headers in one request.
const MAX_HEADER_BYTES: u32 = 16 * 1024;
/// Streams that a client may reset before they were taken up, on one connection.
const MAX_PENDING_RESETS: usize = 20;
/// How a client that is gone is noticed.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a client may take over the headers of an HTTP/1 request.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(10);
/// How long calls may go on after the end was asked for.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(15);
/// The pause after the system refused a connection, e.g. for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until `stop` is done; then takes no more connections, and lets the calls under way finish within a bound.
pub(crate) async fn serve(listener: TcpListener, tls: Option<Tls>, doors: Doors, stop: impl Future<Output = ()>) {
    let server = server();
    let connections = GracefulShutdown::new();
    tokio::pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        match accepted {
            Ok((stream, _)) => {
                let (tls, server, watcher) = (tls.clone(), server.clone(), connections.watcher());
                tokio::spawn(take(stream, tls, server, watcher, doors.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    // A client that connected and never spoke would hold the end up for ever.
    if tokio::time::timeout(DRAIN_TIMEOUT, connections.shutdown()).await.is_err() {
        tracing::warn!("calls were still under way when the drain time ended");
    }
}

fn server() -> auto::Builder<TokioExecutor> {
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_READ_TIMEOUT);
    server
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_CONCURRENT_STREAMS)
        .max_header_list_size(MAX_HEADER_BYTES)
        .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
        .keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT);
    server
}

/// Shakes hands, where that is to be done, and serves.
async fn take(
    stream: TcpStream,
    tls: Option<Tls>,
    server: auto::Builder<TokioExecutor>,
    watcher: Watcher,
    doors: Doors,
) {
    // Small answers are not to wait for the next ones.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "no TCP_NODELAY");
    }
    let Some(tls) = tls else { return serve_connection(server, watcher, stream, doors).await };
    match tls.accept(stream).await {
        Ok(stream) => serve_connection(server, watcher, stream, doors).await,
        Err(error) => tracing::debug!(error, "no TLS with a client"),
    }
}

async fn serve_connection(
    server: auto::Builder<TokioExecutor>,
    watcher: Watcher,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    doors: Doors,
) {
    let service = doors.map_request(|request: http::Request<hyper::body::Incoming>| request.map(Body::new));
    let connection = server.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service)).into_owned();
    let mut connection = Box::pin(watcher.watch(connection));
    // Answers that are ready together leave together: each wake-up first lets the tasks before it run.
    let mut gathered = false;
    let connection = poll_fn(move |context| {
        gathered = !gathered;
        if gathered {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        connection.as_mut().poll(context)
    });
    if let Err(error) = connection.await {
        tracing::debug!(error, "connection ended");
    }
}
