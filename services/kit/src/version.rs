//! Which version of a service answers, and which one a request asks for.
//!
//! Every answer says in [`SERVED_BY`] who served it: first whom the caller asked, then whom that one asked in turn,
//! e.g. `order/stable, payment/canary`. A request may say in [`WANTED`] which version it wants to be served by;
//! whoever decides where calls go (a mesh) finds it on each call that is made for the request.

use std::{cell::RefCell, fmt, future::Future, str::FromStr};

use http::{HeaderMap, HeaderName, HeaderValue, Response};
use tonic::body::Body;

use crate::method::Method;

/// The version of a process that nobody gave one.
pub const DEFAULT_SERVICE_VERSION: &str = "stable";

/// Where a request says which version it wants to be served by.
pub(crate) const WANTED: HeaderName = HeaderName::from_static("x-jumun-version");
/// Where an answer says who served it.
const SERVED_BY: HeaderName = HeaderName::from_static("x-jumun-served-by");

/// The longest version (bytes): that of a DNS label.
const MAX_VERSION_BYTES: usize = 63;
/// How long the list of those may be who were asked for one answer (bytes); whoever comes later is left out.
const MAX_CALLED_BYTES: usize = 512;
/// Who answers where no context does: an unknown path, the page of metrics.
const PROCESS: &str = "jumun";

tokio::task_local! {
    /// Who was called for the present request. It allocates nothing until somebody is.
    static CALLED: RefCell<String>;
}

/// What tells the processes apart that serve the same: a DNS label, e.g. `stable` or `canary`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceVersion(String);

impl ServiceVersion {
    /// It as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for ServiceVersion {
    fn default() -> Self {
        Self(DEFAULT_SERVICE_VERSION.to_owned())
    }
}

impl FromStr for ServiceVersion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if is_label(text.as_bytes()) {
            return Ok(Self(text.to_owned()));
        }
        Err(format!("{text:?} is not a DNS label: a-z, 0-9 and, within, -; at most {MAX_VERSION_BYTES} characters"))
    }
}

impl fmt::Display for ServiceVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

fn is_label(text: &[u8]) -> bool {
    let is_inner = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-';
    let ends = [text.first(), text.last()];
    text.len() <= MAX_VERSION_BYTES
        && text.iter().all(is_inner)
        && ends.iter().all(|end| end.is_some_and(|byte| *byte != b'-'))
}

/// The version that a request wants to be served by; what is no version is ignored.
pub(crate) fn wanted(headers: &HeaderMap) -> Option<HeaderValue> {
    headers.get(WANTED).filter(|value| is_label(value.as_bytes())).cloned()
}

/// What a process writes below its answers, made once.
pub(crate) struct Signatures {
    process: HeaderValue,
    /// In the order of the table of methods.
    by_method: Vec<HeaderValue>,
}

impl Signatures {
    /// Those of a process of this version that serves these gRPC services.
    pub(crate) fn new(version: &ServiceVersion, services: &[&str]) -> Self {
        let process = signature(PROCESS, version);
        let of = |method: &Method| {
            let (service, _) = method.name.split_once('/')?;
            let context = service.strip_prefix("jumun.")?.split('.').next()?;
            services.contains(&service).then(|| signature(context, version))
        };
        let by_method = Method::all().iter().map(|method| of(method).unwrap_or_else(|| process.clone())).collect();
        Self { process, by_method }
    }

    /// For answers of a method.
    pub(crate) fn of(&self, method: &Method) -> HeaderValue {
        self.by_method.get(method.index).unwrap_or(&self.process).clone()
    }

    /// Signs, in the name of the process, an answer that nobody signed.
    pub(crate) fn ensure(&self, response: &mut Response<Body>) {
        response.headers_mut().entry(SERVED_BY).or_insert_with(|| self.process.clone());
    }
}

/// A context's name and a label have no character that a header may not have.
fn signature(name: &str, version: &ServiceVersion) -> HeaderValue {
    HeaderValue::try_from(format!("{name}/{version}")).unwrap_or(HeaderValue::from_static(PROCESS))
}

/// Signs an answer that nobody was asked for. An error stays one block of headers: outlier detection sees no other.
pub(crate) fn signed(mut response: Response<Body>, signature: HeaderValue) -> Response<Body> {
    response.headers_mut().insert(SERVED_BY, signature);
    response
}

/// Signs an answer when it begins, with those who were called for it.
pub(crate) async fn signing(signature: HeaderValue, answer: impl Future<Output = Response<Body>>) -> Response<Body> {
    let answer = async move {
        let response = answer.await;
        let called = CALLED.with(RefCell::take);
        signed(response, with(signature, &called))
    };
    CALLED.scope(RefCell::default(), answer).await
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

    #[test]
    fn a_version_is_a_dns_label() {
        let longest = "a".repeat(MAX_VERSION_BYTES);
        for right in ["stable", "canary", "v1", "2026-11-21", "a", "1", &longest] {
            assert_eq!(right.parse::<ServiceVersion>().map(|version| version.to_string()), Ok(right.to_owned()));
        }
        for wrong in ["", "-", "-a", "a-", "Canary", "v1.2", "a b", "카나리", &"a".repeat(MAX_VERSION_BYTES + 1)] {
            assert!(wrong.parse::<ServiceVersion>().is_err(), "{wrong:?}");
        }
    }

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
        let signatures = Signatures::new(&canary, &["jumun.order.v1.OrderService"]);
        for (path, signature) in [
            ("/jumun.order.v1.OrderService/CreateOrder", "order/canary"),
            ("/jumun.payment.v1.PaymentService/GetPayment", "jumun/canary"),
            ("/grpc.health.v1.Health/Check", "jumun/canary"),
            ("/no.such.Service/Method", "jumun/canary"),
        ] {
            assert_eq!(signatures.of(Method::at(path)), signature, "{path}");
        }
    }

    #[test]
    fn who_was_called_is_noted_once_and_within_a_bound() {
        let mut called = String::new();
        for served_by in ["payment/stable", "payment/canary, bank/stable", "payment/stable"] {
            add(&mut called, served_by);
        }
        assert_eq!(called, "payment/stable, payment/canary, bank/stable");
        for number in 0..1000 {
            add(&mut called, &format!("payment/v{number}"));
        }
        assert!(called.len() <= MAX_CALLED_BYTES && called.len() > MAX_CALLED_BYTES - 20, "{called}");
    }
}
