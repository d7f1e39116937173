//! The authorization layer: authenticates the caller, and checks whether it may call the method.

use std::{
    convert::Infallible,
    task::{Context, Poll},
};

use auth::Authorizer;
use futures::future::{BoxFuture, Either};
use http::Response;
use tonic::{Status, body::Body};
use tower::{Layer, Service};

use crate::call::Call;

/// Passes on the calls that the authorizer permits, with their caller; rejects the others.
#[derive(Clone)]
pub(crate) struct AuthorizeLayer(pub(crate) Authorizer);

impl<S> Layer<S> for AuthorizeLayer {
    type Service = Authorize<S>;

    fn layer(&self, inner: S) -> Authorize<S> {
        Authorize { authorizer: self.0.clone(), inner }
    }
}

#[derive(Clone)]
pub(crate) struct Authorize<S> {
    authorizer: Authorizer,
    inner: S,
}

impl<S> Service<Call> for Authorize<S>
where
    S: Service<Call, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<S::Future, BoxFuture<'static, Result<Response<Body>, Infallible>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut call: Call) -> Self::Future {
        let (path, headers) = (call.request.uri().path(), call.request.headers());
        // The fast path: the token was verified before.
        if let Some(caller) = self.authorizer.recognize(path, headers, call.caller.as_ref()) {
            call.caller = Some(caller);
            return Either::Left(self.inner.call(call));
        }
        let Self { authorizer, mut inner } = self.clone();
        Either::Right(Box::pin(async move {
            let (path, headers) = (call.request.uri().path(), call.request.headers());
            match authorizer.authorize(path, headers, call.caller.as_ref()).await {
                Ok(caller) => inner.call(Call { caller: Some(caller), ..call }).await,
                Err(error) => Ok(Status::from(error).into_http()),
            }
        }))
    }
}
