//! Versions and faults: every response names the services that handled the call, and faults are injected into exactly
//! the calls that match.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use contracts::admin::v1::{ClearFaultsRequest, Fault, ListFaultsRequest, SetFaultRequest};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Body as HttpBody;
use jumun_core::{Code, reason_of, reasons};
use runtime::Settings;
use testkit::TestCluster;
use tonic::{Status, body::Body};
use tonic_types::StatusExt;
use tower::ServiceExt;

use super::counter::{admin, counter, mirror};

const SERVICE: &str = "jumun.bench.v1.BenchService";
const ECHO: &str = "jumun.bench.v1.BenchService/Echo";

/// Starts a cluster whose process has this version.
async fn cluster(version: &str, drills: bool) -> TestCluster {
    let settings = Settings { service_version: version.parse().expect("a version"), drills, ..Settings::default() };
    TestCluster::with(admin::platform(), vec![counter(), mirror()], settings, BTreeMap::new()).await
}

/// The response to a call with an empty message.
async fn echo(cluster: &TestCluster) -> Response<Body> {
    call(cluster, &format!("/{ECHO}")).await
}

async fn call(cluster: &TestCluster, path: &str) -> Response<Body> {
    let request = Request::post(format!("http://jumun{path}"))
        .header("content-type", "application/grpc")
        .body(Body::new(Full::new(prost::bytes::Bytes::from_static(&[0; 5]))))
        .expect("a request");
    cluster.listener().oneshot(request).await.unwrap_or_else(|never| match never {})
}

async fn get(cluster: &TestCluster, path: &str) -> Response<Body> {
    let request = Request::get(format!("http://jumun{path}")).body(Body::empty()).expect("a request");
    cluster.listener().oneshot(request).await.unwrap_or_else(|never| match never {})
}

/// The code of a response. An error must be complete in the first headers.
fn code(response: &Response<Body>) -> Code {
    let status = Status::from_header_map(response.headers());
    assert!(status.is_none() || response.body().is_end_stream(), "an error is one block of headers");
    status.map_or(Code::Ok, |status| status.code())
}

fn served_by(response: &Response<Body>) -> &str {
    let values: Vec<_> = response.headers().get_all("x-jumun-served-by").iter().collect();
    assert_eq!(values.len(), 1, "{:?}", response.headers());
    values[0].to_str().expect("ASCII")
}

fn fault(target: &str, code: &str) -> Fault {
    Fault { target: target.to_owned(), code: code.to_owned(), ..Fault::default() }
}

async fn set(cluster: &TestCluster, fault: Fault) -> Result<Fault, Status> {
    admin(cluster).set_fault(SetFaultRequest { fault: Some(fault) }).await.map(tonic::Response::into_inner)
}

async fn clear(cluster: &TestCluster, target: &str) -> i32 {
    let request = ClearFaultsRequest { target: target.to_owned() };
    admin(cluster).clear_faults(request).await.expect("drills are on").into_inner().cleared_count
}

#[tokio::test]
async fn every_response_names_the_service_that_handled_it() {
    let cluster = cluster("canary", false).await;
    let whole = echo(&cluster).await;
    assert_eq!((code(&whole), served_by(&whole)), (Code::Ok, "bench/canary"));
    for (path, expected, handler) in [
        ("/jumun.bench.v1.BenchService/No", Code::Unimplemented, "jumun/canary"),
        ("/jumun.order.v1.OrderService/GetOrder", Code::Unimplemented, "jumun/canary"),
        ("/jumun.admin.v1.AdminService/DiscardDeadLetters", Code::InvalidArgument, "admin/canary"),
        ("/jumun.admin.v1.AdminService/ListFaults", Code::FailedPrecondition, "admin/canary"),
    ] {
        let refused = call(&cluster, path).await;
        assert_eq!((code(&refused), served_by(&refused)), (expected, handler), "{path}");
    }
    for (path, status, handler) in [
        ("/v1/deadLetters", 200, "admin/canary"),
        ("/v1/deadLetters?pageSize=-1", 400, "admin/canary"),
        ("/v1/faults", 400, "admin/canary"),
        ("/v1/nothing", 404, "jumun/canary"),
        ("/openapi.json", 200, "jumun/canary"),
        ("/metrics", 200, "jumun/canary"),
    ] {
        let answer = get(&cluster, path).await;
        assert_eq!((answer.status().as_u16(), served_by(&answer)), (status, handler), "{path}");
    }
    let page = get(&cluster, "/metrics").await.into_body().collect().await.expect("a page").to_bytes();
    let page = String::from_utf8_lossy(&page);
    assert!(page.contains("jumun_build_info{service_version=\"canary\",version=\""), "{page}");
    assert!(page.contains("service_version=\"canary\"} 1"), "calls are counted by version: {page}");
    cluster.finish().await;
}

#[tokio::test]
async fn a_fault_is_injected_into_matching_calls_until_it_is_cleared() {
    let cluster = cluster("stable", true).await;
    let every_third = Fault { every: 3, max_count: 2, ..fault(ECHO, "INTERNAL") };
    set(&cluster, every_third.clone()).await.expect("drills are on");
    let mut codes = Vec::new();
    for _ in 0..10 {
        codes.push(code(&echo(&cluster).await));
    }
    let injected: Vec<_> = (1..).zip(&codes).filter(|(_, code)| **code != Code::Ok).collect();
    assert_eq!(injected, [(3, &Code::Internal), (6, &Code::Internal)]);
    let listed = admin(&cluster).list_faults(ListFaultsRequest {}).await.expect("drills are on").into_inner().faults;
    assert_eq!(listed, [Fault { call_count: 10, struck_count: 2, ..every_third }]);

    set(&cluster, fault(ECHO, "UNAVAILABLE")).await.expect("it replaces the first");
    let refused = echo(&cluster).await;
    assert_eq!((code(&refused), served_by(&refused)), (Code::Unavailable, "bench/stable"));
    let status = Status::from_header_map(refused.headers()).expect("a status");
    assert_eq!(reason_of(&status), reasons::DRILL_FAULT.name);
    assert!(status.get_details_retry_info().is_some(), "{status:?}");
    assert_eq!((clear(&cluster, SERVICE).await, clear(&cluster, ECHO).await, clear(&cluster, "").await), (0, 1, 0));
    assert_eq!(code(&echo(&cluster).await), Code::Ok);
    cluster.finish().await;
}

#[tokio::test]
async fn a_delay_holds_calls_until_their_deadline_at_most() {
    let cluster = cluster("stable", true).await;
    let delayed = |millis: i32| Fault {
        delay: Some(prost_types::Duration { seconds: i64::from(millis / 1000), nanos: millis % 1000 * 1_000_000 }),
        ..fault(SERVICE, "")
    };
    set(&cluster, delayed(200)).await.expect("drills are on");
    let begun = Instant::now();
    assert_eq!(code(&echo(&cluster).await), Code::Ok, "slow, but successful");
    assert!(begun.elapsed() >= Duration::from_millis(200), "{:?}", begun.elapsed());

    set(&cluster, delayed(10_000)).await.expect("as long as a call may take");
    let request = Request::post(format!("http://jumun/{ECHO}"))
        .header("content-type", "application/grpc")
        .header("grpc-timeout", "100m")
        .body(Body::new(Full::new(prost::bytes::Bytes::from_static(&[0; 5]))))
        .expect("a request");
    let late = cluster.listener().oneshot(request).await.unwrap_or_else(|never| match never {});
    assert_eq!((code(&late), served_by(&late)), (Code::DeadlineExceeded, "bench/stable"));
    cluster.finish().await;
}

#[tokio::test]
async fn a_fault_for_every_method_exempts_health_and_admin_service() {
    let cluster = cluster("stable", true).await;
    set(&cluster, fault("*", "UNAVAILABLE")).await.expect("drills are on");
    assert_eq!(code(&echo(&cluster).await), Code::Unavailable);
    assert_eq!(code(&call(&cluster, "/grpc.health.v1.Health/Check").await), Code::Ok);
    assert_eq!(clear(&cluster, "").await, 1);
    assert_eq!(code(&echo(&cluster).await), Code::Ok);
    cluster.finish().await;
}

#[tokio::test]
async fn an_invalid_fault_is_refused_with_every_wrong_field() {
    let cluster = cluster("stable", true).await;
    let long = Some(prost_types::Duration { seconds: 10, nanos: 1 });
    for (wrong, fields) in [
        (fault("", "INTERNAL"), &["fault.target"][..]),
        (fault("bench", "INTERNAL"), &["fault.target"]),
        (fault(SERVICE, "OK"), &["fault.code"]),
        (Fault { every: -1, ..fault(SERVICE, "INTERNAL") }, &["fault.every"]),
        (fault("jumun.order.v1.OrderService", "INTERNAL"), &["fault.target"]),
        (fault("grpc.health.v1.Health/Check", "INTERNAL"), &["fault.target"]),
        (fault("jumun.admin.v1.AdminService", "INTERNAL"), &["fault.target"]),
        (fault(SERVICE, ""), &["fault"]),
        (Fault { delay: long, ..fault("jumun.bench.v1.BenchService/No", "") }, &["fault.delay", "fault.target"]),
    ] {
        let status = set(&cluster, wrong.clone()).await.expect_err("it is wrong");
        let found = status.get_details_bad_request().expect("BadRequest").field_violations;
        let found: std::collections::BTreeSet<_> = found.iter().map(|violation| violation.field.as_str()).collect();
        assert!(fields.iter().all(|field| found.contains(field)), "{wrong:?}: {found:?}");
    }
    cluster.finish().await;
}

#[tokio::test]
async fn without_drills_there_are_no_faults() {
    let cluster = cluster("stable", false).await;
    let mut admin = admin(&cluster);
    let set = SetFaultRequest { fault: Some(fault("*", "UNAVAILABLE")) };
    let refusals = [
        admin.set_fault(set).await.map(drop),
        admin.clear_faults(ClearFaultsRequest::default()).await.map(drop),
        admin.list_faults(ListFaultsRequest {}).await.map(drop),
    ];
    for refusal in refusals {
        let status = refusal.expect_err("drills are off");
        assert_eq!((status.code(), reason_of(&status).as_str()), (Code::FailedPrecondition, "DRILLS_OFF"));
        assert!(status.message().contains("JUMUN_DRILLS=true"), "{status:?}");
    }
    assert_eq!(code(&echo(&cluster).await), Code::Ok);
    cluster.finish().await;
}
