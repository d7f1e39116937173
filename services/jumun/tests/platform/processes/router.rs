//! The part of a mesh that sends each call to the version in its header.

use std::net::SocketAddr;

use http::Request;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::AbortHandle,
};
use tonic::{body::Body, transport::Channel};
use tower::ServiceExt;

use super::clients::channel;

/// A router in front of two versions of one context.
pub(crate) struct Router {
    pub(crate) address: SocketAddr,
    listening: AbortHandle,
}

#[derive(Clone)]
struct Routes {
    stable: Channel,
    canary: Channel,
}

impl Router {
    /// Calls that ask for the canary go there, all others to the stable version.
    pub(crate) async fn between(stable: &str, canary: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let routes = Routes { stable: channel(stable), canary: channel(canary) };
        let listening = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(routes.clone().serve(stream));
            }
        });
        Self { address, listening: listening.abort_handle() }
    }
}

impl Routes {
    async fn serve(self, stream: TcpStream) {
        let route = service_fn(move |request: Request<Incoming>| {
            let wants_canary = request.headers().get("x-jumun-version").is_some_and(|version| version == "canary");
            let channel = if wants_canary { self.canary.clone() } else { self.stable.clone() };
            channel.oneshot(request.map(Body::new))
        });
        // It ends with the calling process.
        let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), route).await;
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        self.listening.abort();
    }
}
