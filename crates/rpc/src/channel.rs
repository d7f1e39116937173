//! The client channel: one tonic client, two transports: the stack of this process, or a connection to another.
//!
//! Either way a call carries the deadline that is left, the trace and the version that is wanted, and ends with
//! DEADLINE_EXCEEDED when time is up (tonic's own bound would answer CANCELLED, which meshes retry).

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
/// How a dead peer is noticed.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(20);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(5);
/// How a proxy on the way says that it sent nothing, because too much is under way already (Envoy).
const OVERFLOW: &str = "x-envoy-overloaded";

/// Calls another context, in this process or in another one.
#[derive(Clone)]
pub struct Channel {
    layered: Arc<dyn Fn(Request<Body>) -> Outcome + Send + Sync>,
    pub(crate) circuit: Arc<Circuit>,
}

type Outcome = BoxFuture<'static, Result<Response<Body>, Status>>;

impl Channel {
    /// A channel to the contexts of this process, for one of them.
    pub fn local(stack: LocalStack, caller: Caller, circuit: Arc<Circuit>) -> Self {
        Self::over(Transport::Local(stack, caller), circuit)
    }

    /// A channel to a process at `http://host:port` or `https://host:port`. It connects when it is first used.
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

    /// Puts a transport behind the layers. The first layer meets a call first and its answer last.
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

    /// Fails with CIRCUIT_OPEN while a call would not be sent, because too many before it were not answered.
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

/// Where a context is: in this process, or elsewhere.
#[derive(Clone)]
enum Transport {
    /// With the principal that the calling context is.
    Local(LocalStack, Caller),
    /// With what is shown there, where tokens are asked for.
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

/// A proxy that sent nothing says UNAVAILABLE, as if the outcome were unknown. It is overload, like the callee's own word.
fn sent(response: Response<Body>) -> Result<Response<Body>, Status> {
    if response.headers().contains_key(OVERFLOW) {
        let message = "too many calls to another context are under way; nothing was sent";
        return Err(Error::new(&reasons::OVERLOADED, message).into());
    }
    Ok(response)
}

/// A mistake in the settings, which would otherwise look like a callee that is away.
fn warn_when_unauthorized(response: &Response<Body>) {
    let code = response.headers().get("grpc-status").map_or(Code::Ok, |code| Code::from_bytes(code.as_bytes()));
    if matches!(code, Code::Unauthenticated | Code::PermissionDenied) {
        tracing::warn!(
            ?code,
            "another process refuses this one: check that JUMUN_SERVICE_KEY_FILE is the same in both"
        );
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
