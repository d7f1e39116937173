//! The admission layer: a call is refused at once when too many of its method are under way; every call is measured, and the
//! stream that it may begin is bounded. It costs a few atomics.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use http::{HeaderMap, Response};
use jumun_core::{Error, reasons, time::Instant};
use pin_project_lite::pin_project;
use tonic::{Code, Status, body::Body};
use tower::{Layer, Service};

use crate::{bounded_stream, call::Call, limiter::Sign, meters::Meters, method::Method, overload::Overload};

/// When a refused caller may try again, at least; and by how much more callers are spread, or they would all come back
/// at once.
pub(crate) const RETRY_AFTER: Duration = Duration::from_millis(500);
const RETRY_SPREAD: Duration = Duration::from_millis(1000);
pub(crate) const SPREAD_STEPS: u32 = 16;
/// A call that took so much of the time it may take, in tenths, shows that there is too much at once.
const TENTHS_LATE: u32 = 8;

/// Lets calls in, or not.
pub struct AdmissionControl {
    overload: Arc<Overload>,
    meters: Meters,
    start: Instant,
    spread: AtomicU32,
}

/// A call that was let in. Dropped without its end, its caller went away.
struct Admission {
    control: Arc<AdmissionControl>,
    method: Arc<Method>,
    began: Instant,
    /// What its caller asked for.
    asked: Option<Duration>,
    /// Whether a place under the limit is to be given back.
    is_counted: bool,
    has_ended: bool,
}

impl AdmissionControl {
    /// Admits by these limits, and measures with these meters.
    pub fn new(overload: Arc<Overload>, meters: Meters) -> Arc<Self> {
        Arc::new(Self { overload, meters, start: Instant::now(), spread: AtomicU32::new(0) })
    }

    /// Lets a call in whose caller waits for `asked`, or says why not.
    fn admit(self: &Arc<Self>, method: &Arc<Method>, asked: Option<Duration>) -> Result<Admission, Status> {
        let is_counted = self.overload.is_protected && !method.is_essential;
        let began = Instant::now();
        if is_counted && !self.overload.limiter(method).admit() {
            self.meters.observe(method, Code::ResourceExhausted, began.elapsed());
            return Err(self.refusal(method).into());
        }
        Ok(Admission { control: self.clone(), method: method.clone(), began, asked, is_counted, has_ended: false })
    }

    fn refusal(&self, method: &Method) -> Error {
        let step = self.spread.fetch_add(1, Relaxed) % SPREAD_STEPS;
        let retry_after = RETRY_AFTER + RETRY_SPREAD * step / SPREAD_STEPS;
        Error::new(&reasons::OVERLOADED, "too many calls of this method are under way; nothing was done")
            .retry_after(retry_after)
            .with("method", method.name.as_str())
    }
}

impl Admission {
    /// Notes how the call ended, and bounds the stream that it may have begun.
    fn end(mut self, response: Response<Body>) -> Response<Body> {
        let code = code(response.headers());
        let took = self.began.elapsed();
        self.has_ended = true;
        self.control.meters.observe(&self.method, code, took);
        self.release(self.sign(code, took));
        if self.method.is_stream && code == Code::Ok { self.bound(response) } else { response }
    }

    /// A stream says nothing: what it begins goes on. Lateness is by the method's own deadline: a caller in a hurry must
    /// not lower the limit for everybody.
    fn sign(&self, code: Code, took: Duration) -> Sign {
        let is_too_much = code == Code::ResourceExhausted || took > self.method.deadline * TENTHS_LATE / 10;
        if is_too_much && !self.method.is_stream { Sign::TooMuch } else { Sign::Well }
    }

    fn bound(&self, response: Response<Body>) -> Response<Body> {
        match self.asked {
            Some(asked) if asked < self.method.deadline => {
                bounded_stream::bound(response, asked, Error::deadline_exceeded("the deadline of the stream passed"))
            }
            _ => bounded_stream::bound(response, self.method.deadline, bounded_stream::expired()),
        }
    }

    fn release(&mut self, sign: Sign) {
        if std::mem::take(&mut self.is_counted) {
            let start = self.control.start;
            self.control.overload.limiter(&self.method).release(
                sign,
                self.began.duration_since(start),
                start.elapsed(),
            );
        }
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        if !self.has_ended {
            self.control.meters.observe(&self.method, Code::Cancelled, self.began.elapsed());
        }
        self.release(Sign::Nothing);
    }
}

/// The code that an answer begins with. An error that comes after the first message is not seen here.
pub(crate) fn code(headers: &HeaderMap) -> Code {
    headers.get(Status::GRPC_STATUS).map_or(Code::Ok, |value| Code::from_bytes(value.as_bytes()))
}

/// Admits each call, or refuses it.
#[derive(Clone)]
pub(crate) struct AdmissionLayer(pub(crate) Arc<AdmissionControl>);

impl<S> Layer<S> for AdmissionLayer {
    type Service = Admit<S>;

    fn layer(&self, inner: S) -> Admit<S> {
        Admit { control: self.0.clone(), inner }
    }
}

#[derive(Clone)]
pub(crate) struct Admit<S> {
    control: Arc<AdmissionControl>,
    inner: S,
}

impl<S: Service<Call, Response = Response<Body>, Error = Infallible>> Service<Call> for Admit<S> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = AdmitFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        match self.control.admit(&call.method, call.timeout) {
            Ok(admission) => AdmitFuture::Admitted { inner: self.inner.call(call), admission: Some(admission) },
            Err(refusal) => AdmitFuture::Refused { refusal: Some(refusal) },
        }
    }
}

pin_project! {
    #[project = AdmitProjection]
    pub(crate) enum AdmitFuture<F> {
        Admitted {
            #[pin]
            inner: F,
            admission: Option<Admission>,
        },
        Refused {
            refusal: Option<Status>,
        },
    }
}

impl<F: Future<Output = Result<Response<Body>, Infallible>>> Future for AdmitFuture<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            AdmitProjection::Admitted { inner, admission } => {
                inner.poll(context).map_ok(|response| match admission.take() {
                    Some(admission) => admission.end(response),
                    None => response,
                })
            }
            AdmitProjection::Refused { refusal } => match refusal.take() {
                Some(refusal) => Poll::Ready(Ok(refusal.into_http())),
                None => Poll::Pending,
            },
        }
    }
}
