//! Routes calls to the gRPC services of a process, by service name: the innermost service of the stack.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use futures::future::{BoxFuture, ready};
use http::{Request, Response};
use tonic::{Status, body::Body, server::NamedService};
use tower::Service;

use crate::call::Call;

/// The future of a response. It never fails: errors are responses with a gRPC status.
pub type Answer = BoxFuture<'static, Result<Response<Body>, Infallible>>;

type Handler = Box<dyn Fn(Request<Body>) -> Answer + Send + Sync>;

/// The generated servers of a process, by service name.
#[derive(Default)]
pub struct Services(HashMap<&'static str, Handler>);

impl Services {
    /// Adds a generated server. It must always be ready: `poll_ready` is not called.
    pub fn add<S>(&mut self, service: S)
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future = Answer>,
        S: NamedService + Clone + Send + Sync + 'static,
    {
        self.0.insert(S::NAME, Box::new(move |request| service.clone().call(request)));
    }
}

/// Calls the service of `/package.Service/Method`, or fails with UNIMPLEMENTED.
#[derive(Clone)]
pub(crate) struct Routes(Arc<Services>);

impl Routes {
    pub(crate) fn new(services: Services) -> Self {
        Self(Arc::new(services))
    }
}

impl Service<Call> for Routes {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> Answer {
        let name = call.request.uri().path().split('/').nth(1).unwrap_or_default();
        match self.0.0.get(name) {
            Some(handler) => handler(call.request),
            None => {
                let status = Status::unimplemented(format!("this process does not serve {name:?}"));
                Box::pin(ready(Ok(status.into_http())))
            }
        }
    }
}
