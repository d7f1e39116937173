//! The version headers: which services handled a call, and which version a request asks for.
//!
//! Every response names in [`SERVED_BY`] the services and versions that handled the call: first the one that was
//! called, then those that it called in turn, e.g. `things/stable, shelves/canary`. A request may name a version in
//! [`REQUESTED_VERSION`]. It is passed on with each call that is made for the request, for a mesh that routes by
//! version.

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

/// The request header that names the requested version.
pub(crate) const REQUESTED_VERSION: HeaderName = HeaderName::from_static("x-jumun-version");
/// The response header that names the services and versions that handled the call.
const SERVED_BY: HeaderName = HeaderName::from_static("x-jumun-served-by");

/// The longest list of called services in one response (bytes); more are left out.
const MAX_CALLED_BYTES: usize = 512;
/// The name for responses that no context gives: unknown paths, the metrics page.
const PROCESS: &str = "jumun";

tokio::task_local! {
    /// The services that were called for the current request. It allocates nothing before the first call.
    static CALLED: RefCell<String>;
}

/// The version that a request asks for; None when the header is absent or not a version.
pub(crate) fn requested_version(headers: &HeaderMap) -> Option<HeaderValue> {
    headers.get(REQUESTED_VERSION).filter(|value| ServiceVersion::is_valid(value.as_bytes())).cloned()
}

/// The values of the served-by header, for each method of a process, made once.
pub struct ServedByHeaders {
    process: HeaderValue,
    /// In the order of the method table.
    by_method: Vec<HeaderValue>,
}

impl ServedByHeaders {
    /// The values for a process of this version that serves these gRPC services.
    pub fn new(version: &ServiceVersion, methods: &MethodTable, services: &[&str]) -> Self {
        let process = header(PROCESS, version);
        let of = |method: &Method| {
            let (service, _) = method.name.split_once('/')?;
            // The context's name: the last part of the package before its version.
            let context = service.rsplit('.').nth(2)?;
            services.contains(&service).then(|| header(context, version))
        };
        let by_method = methods.iter().map(|method| of(method).unwrap_or_else(|| process.clone())).collect();
        Self { process, by_method }
    }

    /// The value for responses of a method.
    fn of(&self, method: &Method) -> HeaderValue {
        self.by_method.get(method.index).unwrap_or(&self.process).clone()
    }

    /// Adds the header to a response that has none, in the name of the process.
    pub fn ensure(&self, response: &mut Response<Body>) {
        response.headers_mut().entry(SERVED_BY).or_insert_with(|| self.process.clone());
    }
}

/// `name/version`. Neither contains a character that a header must not have.
fn header(name: &str, version: &ServiceVersion) -> HeaderValue {
    HeaderValue::try_from(format!("{name}/{version}")).unwrap_or(HeaderValue::from_static(PROCESS))
}

/// Adds the served-by header to each response.
#[derive(Clone)]
pub(crate) struct ServedByLayer(pub(crate) Arc<ServedByHeaders>);

impl<S> Layer<S> for ServedByLayer {
    type Service = ServedBy<S>;

    fn layer(&self, inner: S) -> ServedBy<S> {
        ServedBy { headers: self.0.clone(), inner }
    }
}

#[derive(Clone)]
pub(crate) struct ServedBy<S> {
    headers: Arc<ServedByHeaders>,
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
        let header = Some(self.headers.of(&call.method));
        ServedByFuture { inner: CALLED.scope(RefCell::default(), self.inner.call(call)), header }
    }
}

pin_project! {
    pub(crate) struct ServedByFuture<F> {
        #[pin]
        inner: TaskLocalFuture<RefCell<String>, F>,
        // Taken with the response.
        header: Option<HeaderValue>,
    }
}

impl<F: Future<Output = Result<Response<Body>, Infallible>>> Future for ServedByFuture<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let polled = this.inner.as_mut().poll(context);
        polled.map_ok(|mut response| {
            let called = this.inner.take_value().map(RefCell::into_inner).unwrap_or_default();
            if let Some(own) = this.header.take() {
                // In the headers, not in trailers: outlier detection needs errors that are one block of headers.
                response.headers_mut().insert(SERVED_BY, with_called(own, &called));
            }
            response
        })
    }
}

fn with_called(own: HeaderValue, called: &str) -> HeaderValue {
    if called.is_empty() {
        return own;
    }
    let name = own.to_str().unwrap_or_default();
    HeaderValue::try_from(format!("{name}, {called}")).unwrap_or(own)
}

/// Records the services that handled a call which was made for the current request. Outside of a request it does
/// nothing.
pub(crate) fn record(headers: &HeaderMap) {
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
    fn a_header_that_is_no_version_is_ignored() {
        let requested = |text: &'static str| {
            let headers = HeaderMap::from_iter([(REQUESTED_VERSION, HeaderValue::from_static(text))]);
            requested_version(&headers).map(|value| value.to_str().expect("ASCII").to_owned())
        };
        assert_eq!(requested("canary").as_deref(), Some("canary"));
        assert_eq!((requested("Canary"), requested("a, b"), requested("")), (None, None, None));
    }

    #[test]
    fn a_process_names_a_context_only_for_services_that_it_serves() {
        let canary = "canary".parse().expect("a version");
        let methods = MethodTable::new(&contracts());
        let headers = ServedByHeaders::new(&canary, &methods, &["library.things.v1.Things"]);
        for (path, expected) in [
            ("/library.things.v1.Things/Get", "things/canary"),
            ("/test.Things/Get", "jumun/canary"),
            ("/grpc.health.v1.Health/Check", "jumun/canary"),
            ("/no.such.Service/Method", "jumun/canary"),
        ] {
            assert_eq!(headers.of(methods.at(path)), expected, "{path}");
        }
    }

    #[test]
    fn called_services_are_recorded_once_and_within_a_bound() {
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
