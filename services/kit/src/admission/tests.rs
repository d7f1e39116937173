use std::{
    convert::Infallible,
    future::pending,
    task::{Context, Poll},
};

use futures::{FutureExt, future::BoxFuture};
use http::{HeaderValue, Request};
use http_body_util::BodyExt;
use prometheus::Registry;
use tonic::server::NamedService;
use tonic_types::StatusExt;
use tower::Service;

use super::*;
use crate::{
    Clock, Edge, ServiceVersion,
    auth::{AccessTable, Guard},
    bus::{Bus, LocalBus},
    edge::Services,
    metrics::{Page, Sources},
    overload::MAX_LIMIT,
    reason_of,
    version::Signatures,
};

const CREATE: &str = "/jumun.order.v1.OrderService/CreateOrder";
const GET: &str = "/jumun.order.v1.OrderService/GetOrder";

type Answer = BoxFuture<'static, Result<Response<Body>, Infallible>>;

/// A service that never answers.
#[derive(Clone)]
struct Silent;

impl NamedService for Silent {
    const NAME: &'static str = "jumun.order.v1.OrderService";
}

impl Service<Request<Body>> for Silent {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        Box::pin(pending())
    }
}

/// Silence behind an edge of its own.
fn edge_and_page(is_protected: bool) -> (Edge, Page) {
    let overload = Arc::new(Overload::new(is_protected, Vec::new(), Vec::new()));
    let sources = Sources {
        overload: overload.clone(),
        outboxes: Vec::new(),
        silent: Vec::new(),
        hearers: Vec::new(),
        bus: Bus::Local(LocalBus::default()),
        clock: Clock::manual(),
    };
    let registry = Registry::new();
    let version = ServiceVersion::default();
    let meters = Meters::new(&registry, &version).expect("metrics");
    let page = Page::new(registry, sources, &version).expect("a page");
    let mut services = Services::default();
    services.add(Silent);
    let everybody = Guard::default().over(AccessTable::of_services(&[]).expect("nothing is declared"));
    let admissions = AdmissionControl::new(overload, meters);
    (Edge::new(services, everybody, admissions, Signatures::new(&version, &[]), None), page)
}

fn edge(is_protected: bool) -> Edge {
    edge_and_page(is_protected).0
}

fn call(edge: &Edge, path: &str, timeout: Option<&'static str>) -> Answer {
    let mut request = Request::get(path).body(Body::empty()).expect("a request");
    if let Some(timeout) = timeout {
        request.headers_mut().insert("grpc-timeout", HeaderValue::from_static(timeout));
    }
    let mut edge = edge.clone();
    edge.call(request)
}

async fn status(answer: Answer) -> Status {
    let Ok(response) = answer.await;
    Status::from_header_map(response.headers()).expect("a status")
}

#[tokio::test(start_paused = true)]
async fn a_call_ends_with_deadline_exceeded_when_its_methods_time_is_up_or_its_callers() {
    let edge = edge(true);
    for (path, asked, millis) in
        [(CREATE, None, 4000), (CREATE, Some("200m"), 200), (CREATE, Some("1M"), 4000), (GET, None, 2000)]
    {
        let begun = tokio::time::Instant::now();
        let status = status(call(&edge, path, asked)).await;
        assert_eq!((status.code(), begun.elapsed().as_millis()), (Code::DeadlineExceeded, millis), "{path} {asked:?}");
        assert!(status.get_details_retry_info().is_some());
    }
}

#[tokio::test]
async fn beyond_its_limit_a_method_is_refused_at_once_and_every_other_goes_on() {
    let edge = edge(true);
    let waiting: Vec<_> = (0..MAX_LIMIT).map(|_| call(&edge, CREATE, None)).collect();
    let refused = call(&edge, CREATE, None).now_or_never().expect("at once").expect("never fails");
    let refused = Status::from_header_map(refused.headers()).expect("a status");
    assert_eq!((refused.code(), reason_of(&refused).as_str()), (Code::ResourceExhausted, "OVERLOADED"));
    assert!(
        refused.get_details_retry_info().and_then(|info| info.retry_delay).is_some_and(|delay| delay >= RETRY_AFTER)
    );
    let mut other = call(&edge, GET, None);
    assert!(futures::poll!(&mut other).is_pending(), "another method is let in");
    let admin = status(call(&edge, "/jumun.admin.v1.AdminService/GetOutboxStatus", None)).await;
    assert_eq!(admin.code(), Code::Unimplemented, "it was let in; only nobody is there");
    drop(waiting);
    assert!(futures::poll!(call(&edge, CREATE, None)).is_pending(), "callers that went away make room");
}

#[tokio::test]
async fn callers_that_are_refused_are_told_different_times_to_come_again() {
    let edge = edge(true);
    let _waiting: Vec<_> = (0..MAX_LIMIT).map(|_| call(&edge, CREATE, None)).collect();
    let mut delays = Vec::new();
    for _ in 0..SPREAD_STEPS {
        delays
            .extend(status(call(&edge, CREATE, None)).await.get_details_retry_info().and_then(|info| info.retry_delay));
    }
    delays.sort_unstable();
    delays.dedup();
    assert_eq!(delays.len(), SPREAD_STEPS as usize);
}

#[tokio::test]
async fn without_protection_nobody_is_refused() {
    let edge = edge(false);
    let _waiting: Vec<_> = (0..=MAX_LIMIT).map(|_| call(&edge, CREATE, None)).collect();
    assert!(futures::poll!(call(&edge, CREATE, None)).is_pending());
}

#[tokio::test(start_paused = true)]
async fn metrics_name_methods_and_codes_and_no_path_that_somebody_made_up() {
    let (edge, page) = edge_and_page(true);
    status(call(&edge, GET, None)).await;
    status(call(&edge, "/made.up/Path", None)).await;
    let page = page.response().await;
    let page = page.into_body().collect().await.expect("a page").to_bytes();
    let page = String::from_utf8_lossy(&page);
    let line = |method: &str, code: &str| {
        format!(
            "rpc_server_call_duration_seconds_count{{rpc_method=\"{method}\",rpc_response_status_code=\"{code}\",rpc_system_name=\"grpc\",service_version=\"stable\"}} 1"
        )
    };
    for line in [line("jumun.order.v1.OrderService/GetOrder", "DEADLINE_EXCEEDED"), line("_OTHER", "UNIMPLEMENTED")] {
        assert!(page.contains(&line), "{line} is not in:\n{page}");
    }
    assert!(!page.contains("made.up"), "{page}");
}
