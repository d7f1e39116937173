//! The listener: HTTP/1 and HTTP/2 on one port, with limits, and an end that never hangs.

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

/// Connections at once. One more is closed at once: waiting, it would take a place in the kernel instead.
const MAX_CONNECTIONS: usize = 4096;
/// Calls at once on one connection.
const MAX_CONCURRENT_STREAMS: u32 = 1024;
/// Bytes of headers in one request; of an HTTP/1 request, with its line; and lines of them.
const MAX_HEADER_BYTES: u32 = 16 * 1024;
const MAX_HTTP1_HEAD_BYTES: usize = 32 * 1024;
const MAX_HTTP1_HEADERS: usize = 100;
/// Bytes of one HTTP/2 frame.
const MAX_FRAME_BYTES: u32 = 16 * 1024;
/// Bytes that a client may send before somebody reads them, in one call and on one connection. A large request needs
/// no more: it is read as it comes.
const STREAM_WINDOW_BYTES: u32 = 64 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;
/// Bytes of answers that wait for a slow reader, in one call.
const MAX_SEND_BUFFER_BYTES: usize = 256 * 1024;
/// Streams that a client may reset before they were taken up, and those it may make us reset, on one connection.
const MAX_PENDING_RESETS: usize = 20;
const MAX_LOCAL_RESETS: usize = 1024;
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
pub async fn serve(
    listener: TcpListener,
    tls: Option<Tls>,
    http: HttpListener,
    overload: Arc<Overload>,
    stop: impl Future<Output = ()>,
) {
    let server = Server { builder: builder(), tls, http, overload, leaving: watch::Sender::new(false) };
    tokio::pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        match accepted {
            Ok((stream, _)) => server.take(stream),
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    server.leaving.send_replace(true);
    // A client that connected and never spoke would hold the end up for ever.
    if timeout(DRAIN_TIMEOUT, server.leaving.closed()).await.is_err() {
        tracing::warn!("calls were still under way when the drain time ended");
    }
}

struct Server {
    builder: auto::Builder<TokioExecutor>,
    tls: Option<Tls>,
    http: HttpListener,
    overload: Arc<Overload>,
    /// Every connection hears it, until it is closed.
    leaving: watch::Sender<bool>,
}

impl Server {
    fn take(&self, stream: TcpStream) {
        if self.overload.connections.open.load(Relaxed) >= MAX_CONNECTIONS {
            // Dropped, it is closed.
            self.overload.connections.refused.fetch_add(1, Relaxed);
            return;
        }
        // Small answers are not to wait for the next ones.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "no TCP_NODELAY");
        }
        let connection = Connection::new(self.overload.clone(), self.leaving.subscribe());
        let (tls, builder, http) = (self.tls.clone(), self.builder.clone(), self.http.clone());
        task::spawn(async move {
            let Some(tls) = tls else { return gathering(connection.serve(builder, stream, http)).await };
            match tls.accept(stream).await {
                Ok(stream) => gathering(connection.serve(builder, stream, http)).await,
                Err(error) => tracing::debug!(error, "no TLS with a client"),
            }
        });
    }
}

/// Answers that are ready together leave together: each wake-up first lets the tasks before it run.
async fn gathering(serving: impl Future<Output = ()>) {
    let mut serving = pin!(serving);
    let mut gathered = false;
    poll_fn(|context| {
        gathered = !gathered;
        if gathered {
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
