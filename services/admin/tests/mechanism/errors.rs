//! No error leaves without a reason: not those that the gRPC library answers by itself either.

use std::time::Duration;

use http::{HeaderMap, Request};
use http_body_util::Full;
use jumun_core::{Class, Code, Error, Reason, reasons};
use rpc::MAX_REQUEST_BYTES;
use testkit::TestCluster;
use tonic::{Status, body::Body};
use tonic_types::StatusExt;
use tower::ServiceExt;

use super::counter::counting_world;

const ECHO: &str = "/jumun.bench.v1.BenchService/Echo";

/// How a call by hand ends, which bytes and headers belong to.
async fn call(world: &TestCluster, path: &str, headers: &[(&'static str, &'static str)], body: Vec<u8>) -> Status {
    let mut request = Request::post(format!("http://jumun{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Body::new(Full::new(prost::bytes::Bytes::from(body))))
        .expect("a request");
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().expect("a value"));
    }
    let response = world.channel().oneshot(request).await.unwrap_or_else(|never| match never {});
    let headers: &HeaderMap = response.headers();
    assert_eq!(response.status(), 200, "an error of gRPC is no error of HTTP");
    Status::from_header_map(headers).unwrap_or_else(|| Status::ok("it went well"))
}

fn framed(flag: u8, message: &[u8]) -> Vec<u8> {
    [&[flag], u32::try_from(message.len()).expect("small").to_be_bytes().as_slice(), message].concat()
}

/// Asserts that a status carries an entry of the catalogue, and RetryInfo exactly where trying again helps.
fn assert_explained(what: &str, status: &Status, reason: &Reason) {
    let info = status.get_details_error_info().unwrap_or_else(|| panic!("{what}: {status:?} has no ErrorInfo"));
    let told = (status.code(), info.reason.as_str(), info.domain.as_str());
    assert_eq!(told, (reason.code, reason.name, "jumun.dev"), "{what}");
    let retry = status.get_details_retry_info().and_then(|info| info.retry_delay);
    assert_eq!(retry, reason.retry_after, "{what}");
    assert!(!status.message().is_empty(), "{what}");
}

#[tokio::test]
async fn what_the_library_answers_by_itself_has_a_reason() {
    let (world, _) = counting_world().await;
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
        assert_explained(what, &call(&world, path, headers, body).await, reason);
    }
    assert_eq!(call(&world, ECHO, &[], framed(0, &[])).await.code(), Code::Ok);
    world.finish().await;
}

#[tokio::test]
async fn the_platforms_own_errors_say_when_to_try_again() {
    for reason in reasons::ALL {
        assert_explained(reason.name, &Error::new(reason, "words").into(), reason);
    }
    let later = Error::new(&reasons::QUEUE_FULL, "words").retry_after(Duration::from_secs(9));
    let retry = Status::from(later).get_details_retry_info().and_then(|info| info.retry_delay);
    assert_eq!(retry, Some(Duration::from_secs(9)));
}

#[test]
fn a_program_tells_refusals_from_faults_by_their_code() {
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
