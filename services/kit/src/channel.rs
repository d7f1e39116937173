//! One tonic client, two transports: the routes of this process, or a connection to another.
//!
//! Either way a call carries the deadline that is left, the trace and the version that is wanted, and ends with
//! DEADLINE_EXCEEDED when time is up (tonic's own bound would say CANCELLED, which meshes retry).

mod again;

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures::future::BoxFuture;
use http::{HeaderValue, Request, Response};
use tonic::{Code, Status, body::Body};
use tower::{Service, ServiceExt};
use tracing::Instrument;

use crate::{
    Caller, Error, admission, ambient,
    auth::{ServiceToken, service_caller},
    edge::WayBack,
    overload::Circuit,
    reasons, telemetry,
    tls::Trust,
    trace_span, version,
};

/// How long a connection attempt may take.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);
/// How a dead peer is noticed.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(20);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(5);
/// What a call leaves of its caller's time, to answer in.
const RESERVE: Duration = Duration::from_millis(50);
/// How long a call to another context may take at most.
pub const MAX_OUTGOING_CALL: Duration = Duration::from_secs(2);
/// How a proxy on the way says that it sent nothing, because too much is under way already (Envoy).
const OVERFLOW: &str = "x-envoy-overloaded";

/// Where a context is: in this process, or elsewhere; and what stands before it.
#[derive(Clone)]
pub struct Channel {
    transport: Transport,
    circuit: Arc<Circuit>,
}

#[derive(Clone)]
enum Transport {
    Local(WayBack, Caller),
    /// With what is shown there, where tokens are asked for.
    Remote(tonic::transport::Channel, Option<Arc<ServiceToken>>),
}

impl Channel {
    /// The contexts of this process, called by one of them.
    pub(crate) fn local(way: WayBack, context: &str, circuit: Arc<Circuit>) -> Self {
        Self { transport: Transport::Local(way, service_caller(context)), circuit }
    }

    /// A process at `http://host:port` or `https://host:port`. It is connected to when it is first called.
    pub(crate) fn remote(
        address: &str,
        trust: &Trust,
        token: Option<ServiceToken>,
        circuit: Arc<Circuit>,
    ) -> anyhow::Result<Self> {
        let endpoint = trust
            .endpoint(address)?
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
            .keep_alive_while_idle(true);
        let transport = Transport::Remote(endpoint.connect_lazy(), token.map(Arc::new));
        Ok(Self { transport, circuit })
    }

    /// Fails with CIRCUIT_OPEN while a call would not be sent, because too many before it were not answered.
    pub fn check(&self) -> Result<(), Error> {
        self.circuit.check()
    }
}

impl Service<Request<Body>> for Channel {
    type Response = Response<Body>;
    type Error = Status;
    type Future = BoxFuture<'static, Result<Response<Body>, Status>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let left = ambient::remaining().map(|left| left.saturating_sub(RESERVE));
        let timeout = left.unwrap_or(MAX_OUTGOING_CALL).min(MAX_OUTGOING_CALL);
        let span = client_span(request.uri().path());
        let (transport, circuit) = (self.transport.clone(), self.circuit.clone());
        Box::pin(
            async move {
                if timeout.is_zero() {
                    return Err(Error::deadline_exceeded("no time is left to ask another context").into());
                }
                let call = circuit.send(timeout)?;
                announce(request.headers_mut());
                let result = match tokio::time::timeout(timeout, transport.send(request, timeout)).await {
                    Ok(result) => result,
                    Err(_) => Err(Error::deadline_exceeded("another context did not answer in time").into()),
                };
                call.end(code(&result));
                if let Ok(response) = &result {
                    version::note(response.headers());
                }
                result
            }
            .instrument(span),
        )
    }
}

impl Transport {
    async fn send(self, mut request: Request<Body>, timeout: Duration) -> Result<Response<Body>, Status> {
        match self {
            Self::Remote(channel, token) => {
                if let Ok(value) = HeaderValue::try_from(format!("{}m", timeout.as_millis().max(1))) {
                    request.headers_mut().insert("grpc-timeout", value);
                }
                if let Some(token) = token {
                    request.headers_mut().insert(http::header::AUTHORIZATION, token.header());
                }
                channel.oneshot(request).await.map_err(failed).and_then(sent).inspect(warn_when_kept_out)
            }
            Self::Local(way, caller) => match way.edge() {
                Some(edge) => {
                    // The edge takes it from here, and only from here, without a token.
                    request.extensions_mut().insert(caller);
                    Ok(edge.serve(request, timeout).await)
                }
                None => Err(Status::unavailable("the process is starting, or ending")),
            },
        }
    }
}

/// A proxy that sent nothing says UNAVAILABLE, as if the outcome were unknown. It is overload, like the callee's own word.
fn sent(response: Response<Body>) -> Result<Response<Body>, Status> {
    if response.headers().contains_key(OVERFLOW) {
        let message = "too many calls to another context are under way; nothing was sent";
        return Err(Error::new(&reasons::OVERLOADED, message).into());
    }
    Ok(response)
}

/// A mistake in the settings, which would otherwise look like a callee that is away.
fn warn_when_kept_out(response: &Response<Body>) {
    let code = response.headers().get("grpc-status").map_or(Code::Ok, |code| Code::from_bytes(code.as_bytes()));
    if matches!(code, Code::Unauthenticated | Code::PermissionDenied) {
        tracing::warn!(?code, "another process keeps this one out: is JUMUN_SERVICE_KEY_FILE the same there and here?");
    }
}

/// What a failed transport means. tonic reads the deadline that is announced, too, and may notice its end before us.
fn failed(error: tonic::transport::Error) -> Status {
    let mut causes = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source());
    if causes.any(<dyn std::error::Error>::is::<tonic::TimeoutExpired>) {
        return Error::deadline_exceeded("another context did not answer in time").into();
    }
    let status = Status::from_error(Box::new(error));
    match status.code() {
        // The connection broke or closed in the middle of a call: the callee was there, and may be again at once.
        Code::Unknown | Code::Cancelled => Status::unavailable(status.message()),
        _ => status,
    }
}

/// The code of an answer.
fn code(result: &Result<Response<Body>, Status>) -> Code {
    match result {
        Ok(response) => admission::code(response.headers()),
        Err(status) => status.code(),
    }
}

/// Tells the callee which trace this belongs to, and which version is wanted.
fn announce(headers: &mut http::HeaderMap) {
    if let Some(value) = telemetry::traceparent().and_then(|text| HeaderValue::try_from(text).ok()) {
        headers.insert("traceparent", value);
    }
    if let Some(value) = ambient::version() {
        headers.insert(version::WANTED, value);
    }
}

fn client_span(path: &str) -> tracing::Span {
    let method = path.trim_start_matches('/');
    trace_span!(None, "rpc", otel.name = method, otel.kind = "client", rpc.system.name = "grpc", rpc.method = method,)
}
