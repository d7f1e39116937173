//! The server stack: what every call meets, as one list of tower layers.
//!
//! A call from the network, and one from another context of the same process, go through the same value.

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
    call::Call,
    deadline::DeadlineLayer,
    explain_errors::ExplainErrorsLayer,
    fault_injection::{FaultInjectionLayer, Faults},
    method::MethodTable,
    request_context::RequestContextLayer,
    routes::{Answer, Routes, Services},
    served_by::{ServedByLayer, Signatures},
    trace::TraceLayer,
};

/// What the layers need.
pub struct StackParts {
    /// Every method that may be called.
    pub methods: Arc<MethodTable>,
    /// What each answer says of who served it.
    pub signatures: Arc<Signatures>,
    /// Limits and measures calls.
    pub admission: Arc<AdmissionControl>,
    /// Who may call what.
    pub authorizer: Authorizer,
    /// Faults that an operator sets; None: the process was not started for drills.
    pub faults: Option<Arc<Faults>>,
}

/// The gRPC services of a process behind the layers.
#[derive(Clone)]
pub struct GrpcStack(Arc<Inner>);

struct Inner {
    methods: Arc<MethodTable>,
    signatures: Arc<Signatures>,
    layered: Box<dyn Fn(Call) -> Answer + Send + Sync>,
}

impl GrpcStack {
    /// Puts services behind the layers. The first layer meets a call first and its answer last.
    pub fn new(services: Services, parts: StackParts) -> Self {
        let StackParts { methods, signatures, admission, authorizer, faults } = parts;
        let stack = ServiceBuilder::new()
            .layer(ServedByLayer(signatures.clone()))
            .layer(AdmissionLayer(admission))
            .layer(DeadlineLayer)
            .layer(TraceLayer)
            .layer(ExplainErrorsLayer)
            .layer(AuthorizeLayer(authorizer))
            .layer(RequestContextLayer)
            .layer(FaultInjectionLayer(faults))
            .service(Routes::new(services));
        // Every layer is always ready.
        let layered = Box::new(move |call| -> Answer { Box::pin(stack.clone().call(call)) });
        Self(Arc::new(Inner { methods, signatures, layered }))
    }

    /// Says who served it, where an answer comes from none of the services.
    pub fn sign(&self, response: &mut Response<Body>) {
        self.0.signatures.ensure(response);
    }

    /// Serves a call of another context of this process, which waits no longer than this.
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

/// The way from a context to the stack of its own process, which is built after it. The stack holds the contexts, so they do
/// not hold it: an ended process would keep everything that it has open.
#[derive(Clone, Default)]
pub struct LocalStack(Arc<OnceLock<Weak<Inner>>>);

impl LocalStack {
    /// Called once, when every context of the process is built.
    pub fn connect(&self, stack: &GrpcStack) {
        // It is connected once.
        let _ = self.0.set(Arc::downgrade(&stack.0));
    }

    /// The stack, while there is one.
    pub(crate) fn get(&self) -> Option<GrpcStack> {
        self.0.get()?.upgrade().map(GrpcStack)
    }
}
