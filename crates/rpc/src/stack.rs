//! The server stack: one list of tower layers in front of the gRPC services of a process.
//!
//! Calls from the network and calls from another context of the same process pass the same layers.

#[cfg(test)]
pub(crate) mod tests;

use std::{
    convert::Infallible,
    sync::{Arc, OnceLock, Weak},
    task::{Context, Poll},
    time::Duration,
};

use auth::Authorizer;
use http::{Request, Response};
use jumun_core::Caller;
use tonic::body::Body;
use tower::{Service, ServiceBuilder};

use crate::{
    admission::{AdmissionControl, AdmissionLayer},
    authorize::AuthorizeLayer,
    backpressure::BackpressureLayer,
    call::Call,
    deadline::DeadlineLayer,
    explain_errors::ExplainErrorsLayer,
    fault_injection::{FaultInjectionLayer, Faults},
    method::MethodTable,
    request_context::RequestContextLayer,
    routes::{Answer, Routes, Services},
    served_by::{ServedByHeaders, ServedByLayer},
    trace::TraceLayer,
};

/// The parts that the layers use.
pub struct StackParts {
    /// Every method that may be called.
    pub methods: Arc<MethodTable>,
    /// The values of the served-by header.
    pub served_by: Arc<ServedByHeaders>,
    /// Limits and measures calls.
    pub admission: Arc<AdmissionControl>,
    /// Authenticates callers, and decides which methods they may call.
    pub authorizer: Authorizer,
    /// Faults that an operator sets; None: drills are off.
    pub faults: Option<Arc<Faults>>,
}

/// The gRPC services of a process behind the layers.
#[derive(Clone)]
pub struct GrpcStack(Arc<Inner>);

struct Inner {
    methods: Arc<MethodTable>,
    served_by: Arc<ServedByHeaders>,
    layered: Box<dyn Fn(Call) -> Answer + Send + Sync>,
}

impl GrpcStack {
    /// Puts services behind the layers. The first layer is the outermost.
    pub fn new(services: Services, parts: StackParts) -> Self {
        let StackParts { methods, served_by, admission, authorizer, faults } = parts;
        let overload = admission.overload();
        let stack = ServiceBuilder::new()
            .layer(ServedByLayer(served_by.clone()))
            .layer(AdmissionLayer(admission))
            .layer(DeadlineLayer)
            .layer(BackpressureLayer(overload))
            .layer(TraceLayer)
            .layer(ExplainErrorsLayer)
            .layer(AuthorizeLayer(authorizer))
            .layer(RequestContextLayer)
            .layer(FaultInjectionLayer(faults))
            .service(Routes::new(services));
        // Every layer is always ready.
        let layered = Box::new(move |call| -> Answer { Box::pin(stack.clone().call(call)) });
        Self(Arc::new(Inner { methods, served_by, layered }))
    }

    /// Adds the served-by header to a response that comes from none of the services.
    pub fn identify(&self, response: &mut Response<Body>) {
        self.0.served_by.ensure(response);
    }

    /// Serves a call of another context of this process. `timeout` is how long the caller waits.
    pub(crate) fn call_from_within(&self, request: Request<Body>, caller: Caller, timeout: Duration) -> Answer {
        let method = self.0.methods.at(request.uri().path()).clone();
        (self.0.layered)(Call::from_within(method, request, caller, timeout))
    }
}

impl Service<Request<Body>> for GrpcStack {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Answer {
        let method = self.0.methods.at(request.uri().path()).clone();
        (self.0.layered)(Call::from_network(method, request))
    }
}

/// The connection of a context to the stack of its own process, which is built after the context. The reference is
/// weak, because the stack owns the contexts: a cycle would keep a stopped process's resources open.
#[derive(Clone, Default)]
pub struct LocalStack(Arc<OnceLock<Weak<Inner>>>);

impl LocalStack {
    /// Connects to the stack. Called once, when every context of the process is built.
    pub fn connect(&self, stack: &GrpcStack) {
        // A second call has no effect.
        let _ = self.0.set(Arc::downgrade(&stack.0));
    }

    /// The stack; None before the process is built and after it stopped.
    pub(crate) fn get(&self) -> Option<GrpcStack> {
        self.0.get()?.upgrade().map(GrpcStack)
    }
}
