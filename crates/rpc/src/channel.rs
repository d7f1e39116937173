//! The client channel: calls another context, over the server stack of this process or over a connection to another.
//!
//! On both transports a call carries the remaining deadline, the trace and the requested version, and ends with
//! DEADLINE_EXCEEDED when the time is up (tonic's own timeout returns CANCELLED, which meshes retry).

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use auth::ServiceToken;
use futures::future::BoxFuture;
use http::{HeaderValue, Request, Response};
use jumun_core::{Caller, Error, reasons};
use net::tls::ClientTls;
use tonic::{Code, Status, body::Body};
use tower::{Service, ServiceBuilder, ServiceExt};

use crate::{
    channel_layers::{
        BoundCallLayer, BreakCircuitLayer, OutgoingCall, PropagateContextLayer, TimeoutLayer, TraceCallLayer,
    },
    circuit::Circuit,
    stack::LocalStack,
};

/// How long a connection attempt may take.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);
/// HTTP/2 keep-alive, which detects a dead peer.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(20);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(5);
/// The header by which Envoy says that it did not forward the request, because its limits are reached.
const OVERFLOW: &str = "x-envoy-overloaded";

/// Calls another context, in this process or in another one.
#[derive(Clone)]
pub struct Channel {
    layered: Arc<dyn Fn(Request<Body>) -> Outcome + Send + Sync>,
    pub(crate) circuit: Arc<Circuit>,
}

type Outcome = BoxFuture<'static, Result<Response<Body>, Status>>;

impl Channel {
    /// A channel to a context of this process. `caller` is the principal of the calling context.
    pub fn local(stack: LocalStack, caller: Caller, circuit: Arc<Circuit>) -> Self {
        Self::over(Transport::Local(stack, caller), circuit)
    }

    /// A channel to a process at `http://host:port` or `https://host:port`. It connects when it is first used. Each
    /// call carries `token`, if there is one. Fails when the address is not a valid URL.
    pub fn remote(
        address: &str,
        trust: &ClientTls,
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
        Ok(Self::over(Transport::Remote(endpoint.connect_lazy(), token.map(Arc::new)), circuit))
    }

    /// Puts a transport behind the layers. The first layer is the outermost.
    fn over(transport: Transport, circuit: Arc<Circuit>) -> Self {
        let client = ServiceBuilder::new()
            .layer(TraceCallLayer)
            .layer(BoundCallLayer)
            .layer(BreakCircuitLayer(circuit.clone()))
            .layer(TimeoutLayer)
            .layer(PropagateContextLayer)
            .service(transport);
        // Every layer is always ready.
        let layered = Arc::new(move |request| -> Outcome { Box::pin(client.clone().call(request)) });
        Self { layered, circuit }
    }

    /// Fails with CIRCUIT_OPEN while the circuit breaker would not send a call.
    pub fn check(&self) -> Result<(), Error> {
        self.circuit.check()
    }
}

impl Service<Request<Body>> for Channel {
    type Response = Response<Body>;
    type Error = Status;
    type Future = Outcome;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Outcome {
        (self.layered)(request)
    }
}

/// How a context is reached.
#[derive(Clone)]
enum Transport {
    /// In this process, with the principal of the calling context.
    Local(LocalStack, Caller),
    /// In another process, with the token of the calling context where tokens are required.
    Remote(tonic::transport::Channel, Option<Arc<ServiceToken>>),
}

impl Service<OutgoingCall> for Transport {
    type Response = Response<Body>;
    type Error = Status;
    type Future = Outcome;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, OutgoingCall { mut request, timeout }: OutgoingCall) -> Outcome {
        match self {
            Self::Remote(channel, token) => {
                if let Ok(value) = HeaderValue::try_from(format!("{}m", timeout.as_millis().max(1))) {
                    request.headers_mut().insert("grpc-timeout", value);
                }
                if let Some(token) = token {
                    request.headers_mut().insert(http::header::AUTHORIZATION, token.header());
                }
                let sending = channel.clone().oneshot(request);
                Box::pin(async move { sending.await.map_err(failed).and_then(sent).inspect(warn_when_unauthorized) })
            }
            Self::Local(stack, caller) => match stack.get() {
                Some(stack) => {
                    let answer = stack.call_from_within(request, caller.clone(), timeout);
                    Box::pin(async move { Ok(answer.await.unwrap_or_else(|never| match never {})) })
                }
                None => Box::pin(async { Err(Status::unavailable("the process is starting or stopping")) }),
            },
        }
    }
}

/// Replaces a proxy's UNAVAILABLE by OVERLOADED when the proxy did not forward the request: the outcome is known.
fn sent(response: Response<Body>) -> Result<Response<Body>, Status> {
    if response.headers().contains_key(OVERFLOW) {
        let message = "too many calls to another context are in flight; nothing was sent";
        return Err(Error::new(&reasons::OVERLOADED, message).into());
    }
    Ok(response)
}

/// Logs a mistake in the settings, which clients would see as an unavailable context.
fn warn_when_unauthorized(response: &Response<Body>) {
    let code = response.headers().get("grpc-status").map_or(Code::Ok, |code| Code::from_bytes(code.as_bytes()));
    if matches!(code, Code::Unauthenticated | Code::PermissionDenied) {
        tracing::warn!(
            ?code,
            "another process rejects the token of this one: check that JUMUN_SERVICE_KEY_FILE is the same in both"
        );
    }
}

/// The status of a failed transport. tonic enforces `grpc-timeout` as well, and may be first.
fn failed(error: tonic::transport::Error) -> Status {
    let mut causes = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source());
    if causes.any(<dyn std::error::Error>::is::<tonic::TimeoutExpired>) {
        return Error::deadline_exceeded("another context did not answer in time").into();
    }
    let status = Status::from_error(Box::new(error));
    match status.code() {
        // The connection broke in the middle of a call: a retry may succeed at once.
        Code::Unknown | Code::Cancelled => Status::unavailable(status.message()),
        _ => status,
    }
}
