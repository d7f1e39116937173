//! The backpressure layer: while events of earlier calls wait, new work from the network is delayed, so that they are
//! applied; if they wait too long, it is refused.
//!
//! New work are the standard methods `Create…` (AIP-133). Calls that read, or that carry on what was accepted, pass.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use futures::future::{BoxFuture, Either, Ready, ready};
use http::Response;
use jumun_core::{Error, reasons, time::sleep};
use tonic::{Status, body::Body};
use tower::{Layer, Service};

use crate::{backlog::Verdict, call::Call, overload::Overload};

#[derive(Clone)]
pub(crate) struct BackpressureLayer(pub(crate) Arc<Overload>);

impl<S> Layer<S> for BackpressureLayer {
    type Service = Backpressure<S>;

    fn layer(&self, inner: S) -> Backpressure<S> {
        Backpressure { overload: self.0.clone(), inner }
    }
}

#[derive(Clone)]
pub(crate) struct Backpressure<S> {
    overload: Arc<Overload>,
    inner: S,
}

type Answered = Result<Response<Body>, Infallible>;

impl<S> Service<Call> for Backpressure<S>
where
    S: Service<Call, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<S::Future, Either<BoxFuture<'static, Answered>, Ready<Answered>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let is_new_work = !call.is_local && call.method.creates && self.overload.is_protected;
        let verdict = if is_new_work { self.overload.backlog.verdict() } else { Verdict::Pass };
        match verdict {
            Verdict::Pass => Either::Left(self.inner.call(call)),
            Verdict::Delay(delay) => {
                let mut inner = self.inner.clone();
                Either::Right(Either::Left(Box::pin(async move {
                    sleep(delay).await;
                    inner.call(call).await
                })))
            }
            Verdict::Refuse => {
                let error = Error::new(&reasons::CATCHING_UP, "events of earlier requests wait; nothing was done");
                Either::Right(Either::Right(ready(Ok(Status::from(error).into_http()))))
            }
        }
    }
}
