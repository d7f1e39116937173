//! What tells replicas apart, and what makes one of them fail: every answer says who served it, and faults strike
//! exactly the calls that they are about.

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

/// A world of a process of this version.
async fn world(version: &str, drills: bool) -> TestCluster {
    let settings = Settings { service_version: version.parse().expect("a version"), drills, ..Settings::default() };
    TestCluster::with(admin::platform(), vec![counter(), mirror()], settings, BTreeMap::new()).await
}

/// The answer to a call whose message is empty.
async fn echo(world: &TestCluster) -> Response<Body> {
    call(world, &format!("/{ECHO}")).await
}

async fn call(world: &TestCluster, path: &str) -> Response<Body> {
    let request = Request::post(format!("http://jumun{path}"))
        .header("content-type", "application/grpc")
        .body(Body::new(Full::new(prost::bytes::Bytes::from_static(&[0; 5]))))
        .expect("a request");
    world.listener().oneshot(request).await.unwrap_or_else(|never| match never {})
}

async fn get(world: &TestCluster, path: &str) -> Response<Body> {
    let request = Request::get(format!("http://jumun{path}")).body(Body::empty()).expect("a request");
    world.listener().oneshot(request).await.unwrap_or_else(|never| match never {})
}

/// The code of an answer that is whole in its first headers; OK where there is a message.
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

async fn set(world: &TestCluster, fault: Fault) -> Result<Fault, Status> {
    admin(world).set_fault(SetFaultRequest { fault: Some(fault) }).await.map(tonic::Response::into_inner)
}

async fn clear(world: &TestCluster, target: &str) -> i32 {
    let request = ClearFaultsRequest { target: target.to_owned() };
    admin(world).clear_faults(request).await.expect("drills are on").into_inner().cleared_count
}

#[tokio::test]
async fn every_answer_says_who_served_it_whatever_it_is() {
    let world = world("canary", false).await;
    let whole = echo(&world).await;
    assert_eq!((code(&whole), served_by(&whole)), (Code::Ok, "bench/canary"));
    for (path, expected, signature) in [
        ("/jumun.bench.v1.BenchService/No", Code::Unimplemented, "jumun/canary"),
        ("/jumun.order.v1.OrderService/GetOrder", Code::Unimplemented, "jumun/canary"),
        ("/jumun.admin.v1.AdminService/DiscardDeadLetters", Code::InvalidArgument, "admin/canary"),
        ("/jumun.admin.v1.AdminService/ListFaults", Code::FailedPrecondition, "admin/canary"),
    ] {
        let refused = call(&world, path).await;
        assert_eq!((code(&refused), served_by(&refused)), (expected, signature), "{path}");
    }
    for (path, status, signature) in [
        ("/v1/deadLetters", 200, "admin/canary"),
        ("/v1/deadLetters?pageSize=-1", 400, "admin/canary"),
        ("/v1/faults", 400, "admin/canary"),
        ("/v1/nothing", 404, "jumun/canary"),
        ("/openapi.json", 200, "jumun/canary"),
        ("/metrics", 200, "jumun/canary"),
    ] {
        let answer = get(&world, path).await;
        assert_eq!((answer.status().as_u16(), served_by(&answer)), (status, signature), "{path}");
    }
    let page = get(&world, "/metrics").await.into_body().collect().await.expect("a page").to_bytes();
    let page = String::from_utf8_lossy(&page);
    assert!(page.contains("jumun_build_info{service_version=\"canary\",version=\""), "{page}");
    assert!(page.contains("service_version=\"canary\"} 1"), "calls are counted by version: {page}");
    world.finish().await;
}

#[tokio::test]
async fn a_fault_strikes_the_calls_that_it_is_about_and_is_over_when_it_is_cleared() {
    let world = world("stable", true).await;
    let every_third = Fault { every: 3, max_count: 2, ..fault(ECHO, "INTERNAL") };
    set(&world, every_third.clone()).await.expect("drills are on");
    let mut codes = Vec::new();
    for _ in 0..10 {
        codes.push(code(&echo(&world).await));
    }
    let struck: Vec<_> = (1..).zip(&codes).filter(|(_, code)| **code != Code::Ok).collect();
    assert_eq!(struck, [(3, &Code::Internal), (6, &Code::Internal)]);
    let listed = admin(&world).list_faults(ListFaultsRequest {}).await.expect("drills are on").into_inner().faults;
    assert_eq!(listed, [Fault { call_count: 10, struck_count: 2, ..every_third }]);

    set(&world, fault(ECHO, "UNAVAILABLE")).await.expect("it takes the place of the first");
    let refused = echo(&world).await;
    assert_eq!((code(&refused), served_by(&refused)), (Code::Unavailable, "bench/stable"));
    let status = Status::from_header_map(refused.headers()).expect("a status");
    assert_eq!(reason_of(&status), reasons::DRILL_FAULT.name);
    assert!(status.get_details_retry_info().is_some(), "{status:?}");
    assert_eq!((clear(&world, SERVICE).await, clear(&world, ECHO).await, clear(&world, "").await), (0, 1, 0));
    assert_eq!(code(&echo(&world).await), Code::Ok);
    world.finish().await;
}

#[tokio::test]
async fn a_delay_holds_calls_up_until_their_deadline_and_no_longer() {
    let world = world("stable", true).await;
    let delayed = |millis: i32| Fault {
        delay: Some(prost_types::Duration { seconds: i64::from(millis / 1000), nanos: millis % 1000 * 1_000_000 }),
        ..fault(SERVICE, "")
    };
    set(&world, delayed(200)).await.expect("drills are on");
    let begun = Instant::now();
    assert_eq!(code(&echo(&world).await), Code::Ok, "late, but well");
    assert!(begun.elapsed() >= Duration::from_millis(200), "{:?}", begun.elapsed());

    set(&world, delayed(10_000)).await.expect("as long as a call may take");
    let request = Request::post(format!("http://jumun/{ECHO}"))
        .header("content-type", "application/grpc")
        .header("grpc-timeout", "100m")
        .body(Body::new(Full::new(prost::bytes::Bytes::from_static(&[0; 5]))))
        .expect("a request");
    let late = world.listener().oneshot(request).await.unwrap_or_else(|never| match never {});
    assert_eq!((code(&late), served_by(&late)), (Code::DeadlineExceeded, "bench/stable"));
    world.finish().await;
}

#[tokio::test]
async fn a_fault_for_everything_leaves_the_operators_door_open() {
    let world = world("stable", true).await;
    set(&world, fault("*", "UNAVAILABLE")).await.expect("drills are on");
    assert_eq!(code(&echo(&world).await), Code::Unavailable);
    assert_eq!(code(&call(&world, "/grpc.health.v1.Health/Check").await), Code::Ok);
    assert_eq!(clear(&world, "").await, 1);
    assert_eq!(code(&echo(&world).await), Code::Ok);
    world.finish().await;
}

#[tokio::test]
async fn what_is_no_fault_is_refused_with_every_field_that_is_wrong() {
    let world = world("stable", true).await;
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
        let status = set(&world, wrong.clone()).await.expect_err("it is wrong");
        let told = status.get_details_bad_request().expect("BadRequest").field_violations;
        let told: std::collections::BTreeSet<_> = told.iter().map(|violation| violation.field.as_str()).collect();
        assert!(fields.iter().all(|field| told.contains(field)), "{wrong:?}: {told:?}");
    }
    world.finish().await;
}

#[tokio::test]
async fn without_drills_there_are_no_faults() {
    let world = world("stable", false).await;
    let mut admin = admin(&world);
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
    assert_eq!(code(&echo(&world).await), Code::Ok);
    world.finish().await;
}
