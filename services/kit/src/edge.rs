//! What every request meets before a handler: whether it is let in, its deadline, its trace, a fault that is set; and
//! after it, who served it. The same for a call from outside and for one from another context of the same process.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, OnceLock, Weak},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use futures::future::BoxFuture;
use http::{HeaderMap, Request, Response};
use tonic::{body::Body, server::NamedService};
use tower::Service;
use tracing::{Instrument, field};

use crate::{
    Caller, Error,
    admission::AdmissionControl,
    ambient::Ambient,
    auth::Gate,
    fault::Faults,
    method::Method,
    trace_span,
    unexplained::explained,
    version::{Signatures, signed, signing, wanted},
};

/// How long a call may take at most, where its method declares nothing and its caller sets no deadline.
pub const MAX_CALL: Duration = Duration::from_secs(10);

/// Answers one request.
type Handler = Box<dyn Fn(Request<Body>) -> Answer + Send + Sync>;
type Answer = BoxFuture<'static, Result<Response<Body>, Infallible>>;

/// The gRPC services of a process, by name.
#[derive(Default)]
pub(crate) struct Services(HashMap<&'static str, Handler>);

impl Services {
    /// Adds a generated server. It is always ready, so nothing waits for that.
    pub(crate) fn add<S>(&mut self, service: S)
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future = Answer>,
        S: NamedService + Clone + Send + Sync + 'static,
    {
        self.0.insert(S::NAME, Box::new(move |request| service.clone().call(request)));
    }

    /// Asks the service of `/package.Service/Method`.
    fn call(&self, request: Request<Body>) -> Answer {
        let name = request.uri().path().split('/').nth(1).unwrap_or_default();
        match self.0.get(name) {
            Some(handler) => handler(request),
            None => {
                let status = tonic::Status::unimplemented(format!("this process does not serve {name:?}"));
                Box::pin(std::future::ready(Ok(status.into_http())))
            }
        }
    }
}

/// The services of a process behind everything that each request meets.
#[derive(Clone)]
pub struct Edge(Arc<Inner>);

struct Inner {
    services: Services,
    gate: Gate,
    admissions: Arc<AdmissionControl>,
    signatures: Signatures,
    /// None: the process was not started for drills.
    faults: Option<Arc<Faults>>,
}

/// The way from a context to the edge of its own process, which is built after it. The edge has the contexts, so it is not
/// held by them: whoever ended would stay, with everything that it has open.
#[derive(Clone, Default)]
pub(crate) struct WayBack(Arc<OnceLock<Weak<Inner>>>);

impl WayBack {
    /// Set once every context of the process is built.
    pub(crate) fn lead_to(&self, edge: &Edge) {
        // It is built once.
        let _ = self.0.set(Arc::downgrade(&edge.0));
    }

    /// The edge, while there is one.
    pub(crate) fn edge(&self) -> Option<Edge> {
        self.0.get()?.upgrade().map(Edge)
    }
}

impl Edge {
    /// Puts services behind the edge.
    pub(crate) fn new(
        services: Services,
        gate: Gate,
        admissions: Arc<AdmissionControl>,
        signatures: Signatures,
        faults: Option<Arc<Faults>>,
    ) -> Self {
        Self(Arc::new(Inner { services, gate, admissions, signatures, faults }))
    }

    /// Says who served it, where an answer comes from none of the services.
    pub(crate) fn sign(&self, response: &mut Response<Body>) {
        self.0.signatures.ensure(response);
    }

    /// Serves a request whose caller, in this process, waits no longer than this.
    pub(crate) async fn serve(&self, request: Request<Body>, timeout: Duration) -> Response<Body> {
        let method = Method::at(request.uri().path());
        match self.0.admissions.admit(method, Some(timeout)) {
            Ok(admission) => {
                let deadline = Instant::now() + admission.timeout();
                admission.end(self.handle(method, request, deadline).await)
            }
            Err(refused) => signed(refused.into_http(), self.0.signatures.of(method)),
        }
    }

    /// Handles a request that somebody else ends at its deadline.
    fn handle(
        &self,
        method: &'static Method,
        request: Request<Body>,
        deadline: Instant,
    ) -> impl Future<Output = Response<Body>> + Send + use<> {
        let traceparent = request.headers().get("traceparent").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let span = server_span(request.uri().path(), traceparent.as_deref());
        let version = wanted(request.headers());
        let (caller, answer) = self.ask(method, request);
        let answer = async move { explained(answer.await.unwrap_or_else(|never| match never {})) };
        let answer = signing(self.0.signatures.of(method), record(span, answer));
        Ambient { deadline: Some(deadline), traceparent, caller, version }.scope(answer)
    }

    /// Asks the service on behalf of whom the gate lets in. Whom it knows already waits for nothing.
    fn ask(&self, method: &'static Method, request: Request<Body>) -> (Caller, Answer) {
        let gate = &self.0.gate;
        if let Some(caller) = gate.recognize(request.uri().path(), request.headers(), request.extensions()) {
            return (caller, self.0.answer(method, request));
        }
        let edge = self.clone();
        let answer = Box::pin(async move {
            match edge.0.gate.admit(request.uri().path(), request.headers(), request.extensions()).await {
                Ok(caller) => Ambient { caller, ..Ambient::current() }.scope(edge.0.answer(method, request)).await,
                Err(error) => Ok(tonic::Status::from(error).into_http()),
            }
        });
        (Caller::default(), answer)
    }
}

impl Inner {
    /// Has the service answer, unless an operator has set a fault that strikes this call.
    fn answer(&self, method: &Method, request: Request<Body>) -> Answer {
        let answer = self.services.call(request);
        match self.faults.as_ref().and_then(|faults| faults.strike(method)) {
            Some(fault) => Box::pin(fault.befall(answer)),
            None => answer,
        }
    }
}

impl Service<Request<Body>> for Edge {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let method = Method::at(request.uri().path());
        let signature = self.0.signatures.of(method);
        let admission = match self.0.admissions.admit(method, grpc_timeout(request.headers())) {
            Ok(admission) => admission,
            Err(refused) => return Box::pin(std::future::ready(Ok(signed(refused.into_http(), signature)))),
        };
        let timeout = admission.timeout();
        let answer = self.handle(method, request, Instant::now() + timeout);
        Box::pin(async move {
            // The bound holds until the answer begins: a stream goes on after it, within a bound of its own.
            Ok(admission.end(tokio::time::timeout(timeout, answer).await.unwrap_or_else(|_| {
                let late = Error::deadline_exceeded("the deadline passed before the answer");
                signed(tonic::Status::from(late).into_http(), signature)
            })))
        })
    }
}

fn server_span(path: &str, traceparent: Option<&str>) -> tracing::Span {
    let method = path.trim_start_matches('/');
    trace_span!(
        traceparent,
        "rpc",
        otel.name = method,
        otel.kind = "server",
        rpc.system.name = "grpc",
        rpc.method = method,
        rpc.response.status_code = field::Empty,
    )
}

/// Runs a call within its span, and notes how it ended.
async fn record(span: tracing::Span, answer: impl Future<Output = Response<Body>>) -> Response<Body> {
    let response = answer.instrument(span.clone()).await;
    if !span.is_disabled() {
        let code = response.headers().get("grpc-status").and_then(|value| value.to_str().ok()).unwrap_or("0");
        span.record("rpc.response.status_code", code);
    }
    response
}

/// Reads `grpc-timeout`: up to eight digits and a unit.
pub(crate) fn grpc_timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let value: u64 = digits.parse().ok().filter(|_| digits.len() <= 8)?;
    Some(match unit {
        "H" => Duration::from_secs(value * 3600),
        "M" => Duration::from_secs(value * 60),
        "S" => Duration::from_secs(value),
        "m" => Duration::from_millis(value),
        "u" => Duration::from_micros(value),
        "n" => Duration::from_nanos(value),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_deadlines_as_grpc_writes_them() {
        let read = |text: &'static str| {
            grpc_timeout(&HeaderMap::from_iter([(
                http::HeaderName::from_static("grpc-timeout"),
                text.parse().expect("a value"),
            )]))
        };
        assert_eq!(read("150m"), Some(Duration::from_millis(150)));
        assert_eq!(read("2S"), Some(Duration::from_secs(2)));
        assert_eq!(read("99999999H"), Some(Duration::from_secs(99_999_999 * 3600)));
        for wrong in ["", "m", "1", "-1S", "123456789m", "1x"] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
    }
}
