//! Every error has a reason, including those of the gRPC library.

use std::time::Duration;

use http::{HeaderMap, Request};
use http_body_util::Full;
use jumun_core::{Class, Code, Error, Reason, reasons};
use rpc::MAX_REQUEST_BYTES;
use testkit::TestCluster;
use tonic::{Status, body::Body};
use tonic_types::StatusExt;
use tower::ServiceExt;

use super::counter::counting_cluster;

const ECHO: &str = "/jumun.bench.v1.BenchService/Echo";

/// The status of a call with these headers and bytes.
async fn call(cluster: &TestCluster, path: &str, headers: &[(&'static str, &'static str)], body: Vec<u8>) -> Status {
    let mut request = Request::post(format!("http://jumun{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Body::new(Full::new(prost::bytes::Bytes::from(body))))
        .expect("a request");
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().expect("a value"));
    }
    let response = cluster.channel().oneshot(request).await.unwrap_or_else(|never| match never {});
    let headers: &HeaderMap = response.headers();
    assert_eq!(response.status(), 200, "a gRPC error has the HTTP status 200");
    Status::from_header_map(headers).unwrap_or_else(|| Status::ok("success"))
}

fn framed(flag: u8, message: &[u8]) -> Vec<u8> {
    [&[flag], u32::try_from(message.len()).expect("small").to_be_bytes().as_slice(), message].concat()
}

/// Asserts that a status has this reason, and the reason's RetryInfo.
fn assert_has_reason(what: &str, status: &Status, reason: &Reason) {
    let info = status.get_details_error_info().unwrap_or_else(|| panic!("{what}: {status:?} has no ErrorInfo"));
    let found = (status.code(), info.reason.as_str(), info.domain.as_str());
    assert_eq!(found, (reason.code, reason.name, "jumun.dev"), "{what}");
    let retry = status.get_details_retry_info().and_then(|info| info.retry_delay);
    assert_eq!(retry, reason.retry_after, "{what}");
    assert!(!status.message().is_empty(), "{what}");
}

#[tokio::test]
async fn errors_of_the_grpc_library_have_a_reason() {
    let (cluster, _) = counting_cluster().await;
    let too_large = framed(0, &vec![0; MAX_REQUEST_BYTES + 1]);
    let list = "/jumun.admin.v1.AdminService/ListDeadLetters";
    let health = "/grpc.health.v1.Health/Check";
    for (what, path, headers, body, reason) in [
        ("no such service", "/jumun.none.v1.None/Get", &[][..], framed(0, &[]), &reasons::METHOD_UNKNOWN),
        ("no such method", "/jumun.bench.v1.BenchService/Get", &[], framed(0, &[]), &reasons::METHOD_UNKNOWN),
        ("no path", "/", &[], Vec::new(), &reasons::METHOD_UNKNOWN),
        ("no message", ECHO, &[], Vec::new(), &reasons::UNREADABLE_REQUEST),
        ("half a message", ECHO, &[], vec![0, 0, 0, 0, 9, 1], &reasons::UNREADABLE_REQUEST),
        ("an unknown flag", ECHO, &[], framed(7, &[]), &reasons::UNREADABLE_REQUEST),
        ("compressed by nothing", ECHO, &[], framed(1, &[]), &reasons::UNREADABLE_REQUEST),
        ("no such compression", ECHO, &[("grpc-encoding", "br")], framed(1, &[]), &reasons::METHOD_UNKNOWN),
        ("no protobuf", list, &[], framed(0, &[0xff; 8]), &reasons::UNREADABLE_REQUEST),
        ("another type on the wire", list, &[], framed(0, &[0x0a, 0x01, 0x41]), &reasons::UNREADABLE_REQUEST),
        ("too large", list, &[], too_large, &reasons::MESSAGE_TOO_LARGE),
        ("health of nothing", health, &[], framed(0, &[0x0a, 1, b'x']), &reasons::NOT_FOUND),
    ] {
        assert_has_reason(what, &call(&cluster, path, headers, body).await, reason);
    }
    assert_eq!(call(&cluster, ECHO, &[], framed(0, &[])).await.code(), Code::Ok);
    cluster.finish().await;
}

#[tokio::test]
async fn the_platforms_own_errors_say_when_to_retry() {
    for reason in reasons::ALL {
        assert_has_reason(reason.name, &Error::new(reason, "words").into(), reason);
    }
    let later = Error::new(&reasons::QUEUE_FULL, "words").retry_after(Duration::from_secs(9));
    let retry = Status::from(later).get_details_retry_info().and_then(|info| info.retry_delay);
    assert_eq!(retry, Some(Duration::from_secs(9)));
}

#[test]
fn refusals_and_faults_are_distinguished_by_their_code() {
    for (reason, class) in [
        (&reasons::REQUEST_ID_REUSED, Class::Refusal),
        (&reasons::STORAGE_UNAVAILABLE, Class::Fault),
        (&reasons::DEADLINE_EXCEEDED, Class::Fault),
        (&reasons::INTERNAL, Class::Fault),
        (&reasons::INVALID_ARGUMENT, Class::Call),
        (&reasons::NOT_FOUND, Class::Call),
    ] {
        assert_eq!(reason.class(), class, "{}", reason.name);
    }
}
