//! The admission layer: rejects calls of a method beyond its concurrency limit, measures every call, and bounds the
//! duration of server streams. A call costs a few atomic operations.

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

use crate::{bounded_stream, call::Call, limiter::Sample, meters::Meters, method::Method, overload::Overload};

/// The shortest retry delay of a rejected call, and the range over which longer ones are spread, so that callers do not
/// all retry at the same time.
pub(crate) const RETRY_AFTER: Duration = Duration::from_millis(500);
const RETRY_SPREAD: Duration = Duration::from_millis(1000);
pub(crate) const SPREAD_STEPS: u32 = 16;
/// A call that took more than this share of its method's deadline (tenths) counts as a sign of overload.
const OVERLOADED_TENTHS: u32 = 8;

/// Admits calls within the limits of [`Overload`], and measures them with [`Meters`].
pub struct AdmissionControl {
    overload: Arc<Overload>,
    meters: Meters,
    start: Instant,
    spread: AtomicU32,
}

/// An admitted call. Dropped before [`Admission::end`], it counts as cancelled by its caller.
struct Admission {
    control: Arc<AdmissionControl>,
    method: Arc<Method>,
    began: Instant,
    /// The timeout of the caller.
    asked: Option<Duration>,
    /// Whether the call occupies a slot of the limiter, which must be released.
    is_counted: bool,
    has_ended: bool,
}

impl AdmissionControl {
    /// Admits by these limits, and measures with these meters.
    pub fn new(overload: Arc<Overload>, meters: Meters) -> Arc<Self> {
        Arc::new(Self { overload, meters, start: Instant::now(), spread: AtomicU32::new(0) })
    }

    /// The limits by which it admits.
    pub(crate) fn overload(&self) -> Arc<Overload> {
        self.overload.clone()
    }

    /// Admits a call, or fails with OVERLOADED. `asked` is the caller's timeout.
    fn admit(self: &Arc<Self>, method: &Arc<Method>, asked: Option<Duration>) -> Result<Admission, Status> {
        let is_counted = self.overload.is_protected && !method.is_essential;
        let began = Instant::now();
        if is_counted && !self.overload.limiter(method).admit() {
            self.meters.observe(method, Code::ResourceExhausted, began.elapsed());
            return Err(self.overloaded(method).into());
        }
        Ok(Admission { control: self.clone(), method: method.clone(), began, asked, is_counted, has_ended: false })
    }

    fn overloaded(&self, method: &Method) -> Error {
        let step = self.spread.fetch_add(1, Relaxed) % SPREAD_STEPS;
        let retry_after = RETRY_AFTER + RETRY_SPREAD * step / SPREAD_STEPS;
        Error::new(&reasons::OVERLOADED, "too many calls of this method are in flight; nothing was done")
            .retry_after(retry_after)
            .with("method", method.name.as_str())
    }
}

impl Admission {
    /// Records the outcome of the call, and bounds the stream that the response may carry.
    fn end(mut self, response: Response<Body>) -> Response<Body> {
        let code = code(response.headers());
        let took = self.began.elapsed();
        self.has_ended = true;
        self.control.meters.observe(&self.method, code, took);
        self.release(self.sample(code, took));
        if self.method.is_stream && code == Code::Ok { self.bound(response) } else { response }
    }

    /// What the call tells the limiter. A stream always counts as a success, because only its start is measured.
    /// Slowness is relative to the method's own deadline, so that a caller with a short timeout cannot lower the limit
    /// for others.
    fn sample(&self, code: Code, took: Duration) -> Sample {
        let is_overloaded = code == Code::ResourceExhausted || took > self.method.deadline * OVERLOADED_TENTHS / 10;
        if is_overloaded && !self.method.is_stream { Sample::Overload } else { Sample::Success }
    }

    fn bound(&self, response: Response<Body>) -> Response<Body> {
        match self.asked {
            Some(asked) if asked < self.method.deadline => {
                bounded_stream::bound(response, asked, Error::deadline_exceeded("the deadline of the stream passed"))
            }
            _ => bounded_stream::bound(response, self.method.deadline, bounded_stream::expired()),
        }
    }

    fn release(&mut self, sample: Sample) {
        if std::mem::take(&mut self.is_counted) {
            let start = self.control.start;
            self.control.overload.limiter(&self.method).release(
                sample,
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
        self.release(Sample::Ignored);
    }
}

/// The gRPC code in the headers of a response. An error after the first message is in the trailers, and not seen here.
pub(crate) fn code(headers: &HeaderMap) -> Code {
    headers.get(Status::GRPC_STATUS).map_or(Code::Ok, |value| Code::from_bytes(value.as_bytes()))
}

/// Admits or rejects each call.
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
            Err(status) => AdmitFuture::Rejected { status: Some(status) },
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
        Rejected {
            status: Option<Status>,
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
            AdmitProjection::Rejected { status } => match status.take() {
                Some(status) => Poll::Ready(Ok(status.into_http())),
                None => Poll::Pending,
            },
        }
    }
}
