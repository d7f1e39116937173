//! Serves one connection until the client closes it, it is idle for too long, or the process shuts down.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
};
use tonic::body::Body;
use tower::ServiceExt;

use jumun_core::time::sleep;
use rpc::Overload;

use crate::{first_bytes::FirstBytes, http_listener::HttpListener};

/// A connection without new calls for this long is shut down gracefully: its streams go on, and a client that calls
/// again opens a new connection.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10 * 60);

/// Counts as an open connection of the process, until it is dropped.
pub(crate) struct Connection {
    overload: Arc<Overload>,
    draining: watch::Receiver<bool>,
}

impl Connection {
    pub(crate) fn new(overload: Arc<Overload>, draining: watch::Receiver<bool>) -> Self {
        overload.connections.open.fetch_add(1, Relaxed);
        Self { overload, draining }
    }

    pub(crate) async fn serve(
        mut self,
        builder: auto::Builder<TokioExecutor>,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        http: HttpListener,
    ) {
        let is_used = Arc::new(AtomicBool::new(false));
        let uses = is_used.clone();
        let service = http.map_request(move |request: http::Request<hyper::body::Incoming>| {
            uses.store(true, Relaxed);
            request.map(Body::new)
        });
        let io = TokioIo::new(FirstBytes::new(stream));
        let mut serving = pin!(builder.serve_connection(io, TowerToHyperService::new(service)));
        let ended = tokio::select! {
            biased;
            ended = &mut serving => ended,
            () = self.drained(&is_used) => {
                serving.as_mut().graceful_shutdown();
                serving.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(error, "connection ended");
        }
    }

    /// Returns when the connection must not accept more calls.
    async fn drained(&mut self, is_used: &AtomicBool) {
        let idle = async {
            loop {
                sleep(IDLE_TIMEOUT).await;
                if !is_used.swap(false, Relaxed) {
                    return;
                }
            }
        };
        tokio::select! {
            _ = self.draining.wait_for(|draining| *draining) => {}
            () = idle => {}
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.overload.connections.open.fetch_sub(1, Relaxed);
    }
}
