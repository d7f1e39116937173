//! The gate that every call goes through: refused at once when too many of its method are under way, bounded by its
//! method's deadline, and measured. It costs a few atomics.

#[cfg(test)]
mod tests;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use http::{HeaderMap, Response};
use tonic::{Code, Status, body::Body};

use crate::{
    Error,
    method::Method,
    metrics::Meters,
    overload::{Overload, Sign},
    reasons, stream,
};

/// When a refused caller may try again, at least; and by how much more callers are spread, or they would all come back
/// at once.
const RETRY_AFTER: Duration = Duration::from_millis(500);
const RETRY_SPREAD: Duration = Duration::from_millis(1000);
const SPREAD_STEPS: u32 = 16;
/// A call that took so much of the time it may take, in tenths, shows that there is too much at once.
const TENTHS_LATE: u32 = 8;

/// Lets calls in, or not.
pub(crate) struct AdmissionControl {
    overload: Arc<Overload>,
    meters: Meters,
    start: Instant,
    spread: AtomicU32,
}

/// A call that was let in. Dropped without its end, its caller went away.
pub(crate) struct Admission {
    control: Arc<AdmissionControl>,
    method: &'static Method,
    began: Instant,
    /// What its caller asked for.
    asked: Option<Duration>,
    /// Whether a place under the limit is to be given back.
    is_counted: bool,
    has_ended: bool,
}

impl AdmissionControl {
    pub(crate) fn new(overload: Arc<Overload>, meters: Meters) -> Arc<Self> {
        Arc::new(Self { overload, meters, start: Instant::now(), spread: AtomicU32::new(0) })
    }

    /// Lets a call in whose caller waits for `asked`, or says why not.
    pub(crate) fn admit(
        self: &Arc<Self>,
        method: &'static Method,
        asked: Option<Duration>,
    ) -> Result<Admission, Status> {
        let is_counted = self.overload.is_protected && !method.is_essential;
        let began = Instant::now();
        if is_counted && !self.overload.limiter(method).admit() {
            self.meters.observe(method, Code::ResourceExhausted, began.elapsed());
            return Err(self.refusal(method).into());
        }
        Ok(Admission { control: self.clone(), method, began, asked, is_counted, has_ended: false })
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
    /// How long the call may take until its answer begins.
    pub(crate) fn timeout(&self) -> Duration {
        self.method.timeout(self.asked)
    }

    /// Notes how the call ended, and bounds the stream that it may have begun.
    pub(crate) fn end(mut self, response: Response<Body>) -> Response<Body> {
        let code = code(response.headers());
        let took = self.began.elapsed();
        self.has_ended = true;
        self.control.meters.observe(self.method, code, took);
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
                stream::bound(response, asked, Error::deadline_exceeded("the deadline of the stream passed"))
            }
            _ => stream::bound(response, self.method.deadline, stream::expired()),
        }
    }

    fn release(&mut self, sign: Sign) {
        if std::mem::take(&mut self.is_counted) {
            let start = self.control.start;
            self.control.overload.limiter(self.method).release(sign, self.began.duration_since(start), start.elapsed());
        }
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        if !self.has_ended {
            self.control.meters.observe(self.method, Code::Cancelled, self.began.elapsed());
        }
        self.release(Sign::Nothing);
    }
}

/// The code that an answer begins with. An error that comes after the first message is not seen here.
pub(crate) fn code(headers: &HeaderMap) -> Code {
    headers.get(Status::GRPC_STATUS).map_or(Code::Ok, |value| Code::from_bytes(value.as_bytes()))
}
