//! Collects the gRPC services of a process, with their names.

use std::convert::Infallible;

use http::{Request, Response};
use rpc::{Answer, Services};
use tonic::{body::Body, server::NamedService};
use tower::Service;

/// The gRPC services of a process.
#[derive(Default)]
pub struct ServiceRegistry {
    pub(crate) services: Services,
    pub(crate) names: Vec<&'static str>,
}

impl ServiceRegistry {
    /// Adds a generated server.
    pub fn serve<S>(&mut self, service: S)
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future = Answer>,
        S: NamedService + Clone + Send + Sync + 'static,
    {
        self.names.push(S::NAME);
        self.services.add(service);
    }
}
