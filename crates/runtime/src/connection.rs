//! One connection: served until its client goes, has been quiet for long, or the process ends.

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

/// A connection on which nothing was called for this long is let go; what streams on it goes on, and a client that
/// calls again connects again.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10 * 60);

/// A place among the connections of the process, until it is dropped.
pub(crate) struct Connection {
    overload: Arc<Overload>,
    leaving: watch::Receiver<bool>,
}

impl Connection {
    pub(crate) fn new(overload: Arc<Overload>, leaving: watch::Receiver<bool>) -> Self {
        overload.connections.open.fetch_add(1, Relaxed);
        Self { overload, leaving }
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
            () = self.is_over(&is_used) => {
                serving.as_mut().graceful_shutdown();
                serving.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(error, "connection ended");
        }
    }

    /// Done when the connection is not to take more calls.
    async fn is_over(&mut self, is_used: &AtomicBool) {
        let quiet = async {
            loop {
                sleep(IDLE_TIMEOUT).await;
                if !is_used.swap(false, Relaxed) {
                    return;
                }
            }
        };
        tokio::select! {
            _ = self.leaving.wait_for(|leaving| *leaving) => {}
            () = quiet => {}
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.overload.connections.open.fetch_sub(1, Relaxed);
    }
}
