//! The listener: serves HTTP/1 and HTTP/2 on one port, within limits, and shuts down in bounded time.

use std::{
    future::poll_fn,
    pin::pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    task::Poll,
    time::Duration,
};

use hyper_util::{
    rt::{TokioExecutor, TokioTimer},
    server::conn::auto,
};
use jumun_core::{
    task,
    time::{sleep, timeout},
};
use net::tls::Tls;
use rpc::Overload;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};

use crate::{connection::Connection, http_listener::HttpListener};

/// Open connections. One more is closed at once, instead of waiting in the backlog of the kernel.
const MAX_CONNECTIONS: usize = 4096;
/// Concurrent calls on one connection.
const MAX_CONCURRENT_STREAMS: u32 = 1024;
/// The headers of one request: bytes in HTTP/2; bytes with the request line in HTTP/1; lines in HTTP/1.
const MAX_HEADER_BYTES: u32 = 16 * 1024;
const MAX_HTTP1_HEAD_BYTES: usize = 32 * 1024;
const MAX_HTTP1_HEADERS: usize = 100;
/// Bytes of one HTTP/2 frame.
const MAX_FRAME_BYTES: u32 = 16 * 1024;
/// Flow-control windows: bytes that a client may send before they are read, in one call and on one connection. A large
/// request needs no more, because it is read as it arrives.
const STREAM_WINDOW_BYTES: u32 = 64 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;
/// Bytes of a response that are buffered for a slow reader, in one call.
const MAX_SEND_BUFFER_BYTES: usize = 256 * 1024;
/// Streams on one connection that a client may reset before they are accepted, and that it may cause the server to
/// reset.
const MAX_PENDING_RESETS: usize = 20;
const MAX_LOCAL_RESETS: usize = 1024;
/// HTTP/2 keep-alive, which detects a dead client.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a client may take to send the headers of an HTTP/1 request.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(10);
/// How long calls may go on after shutdown began.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(15);
/// The pause after a failed accept, e.g. for lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until `stop` completes; then accepts no more connections, and waits up to `DRAIN_TIMEOUT` for the calls in
/// flight.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Tls>,
    http: HttpListener,
    overload: Arc<Overload>,
    stop: impl Future<Output = ()>,
) {
    let server = Server { builder: builder(), tls, http, overload, draining: watch::Sender::new(false) };
    tokio::pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        match accepted {
            Ok((stream, _)) => server.spawn_connection(stream),
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    server.draining.send_replace(true);
    // Bounded, because of connections that never end.
    if timeout(DRAIN_TIMEOUT, server.draining.closed()).await.is_err() {
        tracing::warn!("calls were still in flight at the drain timeout");
    }
}

struct Server {
    builder: auto::Builder<TokioExecutor>,
    tls: Option<Tls>,
    http: HttpListener,
    overload: Arc<Overload>,
    /// Tells every connection to drain. It is closed when the last connection is.
    draining: watch::Sender<bool>,
}

impl Server {
    fn spawn_connection(&self, stream: TcpStream) {
        if self.overload.connections.open.load(Relaxed) >= MAX_CONNECTIONS {
            // Dropping the stream closes it.
            self.overload.connections.refused.fetch_add(1, Relaxed);
            return;
        }
        // Small responses must not wait for later ones.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot set TCP_NODELAY");
        }
        let connection = Connection::new(self.overload.clone(), self.draining.subscribe());
        let (tls, builder, http) = (self.tls.clone(), self.builder.clone(), self.http.clone());
        task::spawn(async move {
            let Some(tls) = tls else { return batching(connection.serve(builder, stream, http)).await };
            match tls.accept(stream).await {
                Ok(stream) => batching(connection.serve(builder, stream, http)).await,
                Err(error) => tracing::debug!(error, "the TLS handshake failed"),
            }
        });
    }
}

/// Batches responses that become ready together into one write: each wake-up first lets the tasks before it run.
async fn batching(serving: impl Future<Output = ()>) {
    let mut serving = pin!(serving);
    let mut yielded = false;
    poll_fn(|context| {
        yielded = !yielded;
        if yielded {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        serving.as_mut().poll(context)
    })
    .await;
}

fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_READ_TIMEOUT)
        .max_buf_size(MAX_HTTP1_HEAD_BYTES)
        .max_headers(MAX_HTTP1_HEADERS);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_CONCURRENT_STREAMS)
        .max_header_list_size(MAX_HEADER_BYTES)
        .max_frame_size(MAX_FRAME_BYTES)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buf_size(MAX_SEND_BUFFER_BYTES)
        .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
        .max_local_error_reset_streams(MAX_LOCAL_RESETS)
        .keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT);
    builder
}
