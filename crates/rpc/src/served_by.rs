//! Which version of a service answers, and which one a request asks for.
//!
//! Every answer says in [`SERVED_BY`] who served it: first whom the caller asked, then whom that one asked in turn,
//! e.g. `things/stable, shelves/canary`. A request may say in [`WANTED`] which version it wants to be served by;
//! whoever decides where calls go (a mesh) finds it on each call that is made for the request.

use std::{
    cell::RefCell,
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{HeaderMap, HeaderName, HeaderValue, Response};
use jumun_core::ServiceVersion;
use pin_project_lite::pin_project;
use tokio::task::futures::TaskLocalFuture;
use tonic::body::Body;
use tower::{Layer, Service};

use crate::{
    call::Call,
    method::{Method, MethodTable},
};

/// Where a request says which version it wants to be served by.
pub(crate) const WANTED: HeaderName = HeaderName::from_static("x-jumun-version");
/// Where an answer says who served it.
const SERVED_BY: HeaderName = HeaderName::from_static("x-jumun-served-by");

/// How long the list of those may be who were asked for one answer (bytes); whoever comes later is left out.
const MAX_CALLED_BYTES: usize = 512;
/// Who answers where no context does: an unknown path, the page of metrics.
const PROCESS: &str = "jumun";

tokio::task_local! {
    /// Who was called for the present request. It allocates nothing until somebody is.
    static CALLED: RefCell<String>;
}

/// The version that a request wants to be served by; what is no version is ignored.
pub(crate) fn wanted(headers: &HeaderMap) -> Option<HeaderValue> {
    headers.get(WANTED).filter(|value| ServiceVersion::is_valid(value.as_bytes())).cloned()
}

/// What a process writes below its answers, made once.
pub struct Signatures {
    process: HeaderValue,
    /// In the order of the table of methods.
    by_method: Vec<HeaderValue>,
}

impl Signatures {
    /// Those of a process of this version that serves these gRPC services.
    pub fn new(version: &ServiceVersion, methods: &MethodTable, services: &[&str]) -> Self {
        let process = signature(PROCESS, version);
        let of = |method: &Method| {
            let (service, _) = method.name.split_once('/')?;
            // The last part of the package before its version.
            let context = service.rsplit('.').nth(2)?;
            services.contains(&service).then(|| signature(context, version))
        };
        let by_method = methods.iter().map(|method| of(method).unwrap_or_else(|| process.clone())).collect();
        Self { process, by_method }
    }

    /// For answers of a method.
    fn of(&self, method: &Method) -> HeaderValue {
        self.by_method.get(method.index).unwrap_or(&self.process).clone()
    }

    /// Signs, in the name of the process, an answer that nobody signed.
    pub fn ensure(&self, response: &mut Response<Body>) {
        response.headers_mut().entry(SERVED_BY).or_insert_with(|| self.process.clone());
    }
}

/// A context's name and a label have no character that a header may not have.
fn signature(name: &str, version: &ServiceVersion) -> HeaderValue {
    HeaderValue::try_from(format!("{name}/{version}")).unwrap_or(HeaderValue::from_static(PROCESS))
}

/// Says on each answer who served it, and who was called for it.
#[derive(Clone)]
pub(crate) struct ServedByLayer(pub(crate) Arc<Signatures>);

impl<S> Layer<S> for ServedByLayer {
    type Service = ServedBy<S>;

    fn layer(&self, inner: S) -> ServedBy<S> {
        ServedBy { signatures: self.0.clone(), inner }
    }
}

#[derive(Clone)]
pub(crate) struct ServedBy<S> {
    signatures: Arc<Signatures>,
    inner: S,
}

impl<S: Service<Call, Response = Response<Body>, Error = Infallible>> Service<Call> for ServedBy<S> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = ServedByFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, call: Call) -> Self::Future {
        let signature = Some(self.signatures.of(&call.method));
        ServedByFuture { inner: CALLED.scope(RefCell::default(), self.inner.call(call)), signature }
    }
}

pin_project! {
    pub(crate) struct ServedByFuture<F> {
        #[pin]
        inner: TaskLocalFuture<RefCell<String>, F>,
        // Taken with the answer.
        signature: Option<HeaderValue>,
    }
}

impl<F: Future<Output = Result<Response<Body>, Infallible>>> Future for ServedByFuture<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let polled = this.inner.as_mut().poll(context);
        polled.map_ok(|mut response| {
            let called = this.inner.take_value().map(RefCell::into_inner).unwrap_or_default();
            if let Some(signature) = this.signature.take() {
                // An error stays one block of headers: outlier detection sees no other.
                response.headers_mut().insert(SERVED_BY, with(signature, &called));
            }
            response
        })
    }
}

fn with(signature: HeaderValue, called: &str) -> HeaderValue {
    if called.is_empty() {
        return signature;
    }
    let own = signature.to_str().unwrap_or_default();
    HeaderValue::try_from(format!("{own}, {called}")).unwrap_or(signature)
}

/// Notes who served a call that the present request made. What no request asked for notes nothing.
pub(crate) fn note(headers: &HeaderMap) {
    let Some(served_by) = headers.get(SERVED_BY).and_then(|value| value.to_str().ok()) else { return };
    let _ = CALLED.try_with(|called| add(&mut called.borrow_mut(), served_by));
}

fn add(called: &mut String, served_by: &str) {
    for name in served_by.split(", ") {
        let is_known = called.split(", ").any(|known| known == name);
        if !is_known && called.len() + name.len() + 2 <= MAX_CALLED_BYTES {
            called.push_str(if called.is_empty() { "" } else { ", " });
            called.push_str(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::tests::contracts;

    #[test]
    fn what_is_no_version_is_not_wanted() {
        let wanted = |text: &'static str| {
            let headers = HeaderMap::from_iter([(WANTED, HeaderValue::from_static(text))]);
            super::wanted(&headers).map(|value| value.to_str().expect("ASCII").to_owned())
        };
        assert_eq!(wanted("canary").as_deref(), Some("canary"));
        assert_eq!((wanted("Canary"), wanted("a, b"), wanted("")), (None, None, None));
    }

    #[test]
    fn a_process_signs_for_a_context_only_what_it_serves() {
        let canary = "canary".parse().expect("a version");
        let methods = MethodTable::new(&contracts());
        let signatures = Signatures::new(&canary, &methods, &["library.things.v1.Things"]);
        for (path, signature) in [
            ("/library.things.v1.Things/Get", "things/canary"),
            ("/test.Things/Get", "jumun/canary"),
            ("/grpc.health.v1.Health/Check", "jumun/canary"),
            ("/no.such.Service/Method", "jumun/canary"),
        ] {
            assert_eq!(signatures.of(methods.at(path)), signature, "{path}");
        }
    }

    #[test]
    fn who_was_called_is_noted_once_and_within_a_bound() {
        let mut called = String::new();
        for served_by in ["a/stable", "a/canary, b/stable", "a/stable"] {
            add(&mut called, served_by);
        }
        assert_eq!(called, "a/stable, a/canary, b/stable");
        for number in 0..1000 {
            add(&mut called, &format!("a/v{number}"));
        }
        assert!(called.len() <= MAX_CALLED_BYTES && called.len() > MAX_CALLED_BYTES - 20, "{called}");
    }
}
