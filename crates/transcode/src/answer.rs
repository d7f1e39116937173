//! What is answered: canonical JSON, or `google.rpc.Status` as JSON with the HTTP status that belongs to its code.

use std::{sync::LazyLock, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use prost_reflect::{DescriptorPool, DynamicMessage};
use serde_json::{Value as Json, json};
use tonic::{Code, Status, body::Body, metadata::MetadataMap};
use tonic_types::StatusExt;

use jumun_core::{Error, code::NAMES, reasons};

pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The messages that errors carry.
static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    let mut pool = DescriptorPool::global();
    pool.decode_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET).expect("what the build encoded decodes");
    pool
});

/// Why a request was not answered as asked.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// What HTTP says, where it has a more exact word than the code of the status.
    http: Option<StatusCode>,
    allow: Vec<Method>,
    status: Box<Status>,
}

impl Refusal {
    /// A refusal by HTTP itself.
    pub(crate) fn new(http: StatusCode, error: Error) -> Self {
        Self { http: Some(http), allow: Vec::new(), status: Box::new(error.into()) }
    }

    /// The path is for other verbs.
    pub(crate) fn not_allowed(allow: Vec<Method>) -> Self {
        let error = Error::new(&reasons::METHOD_NOT_ALLOWED, "this path is for other methods; see Allow");
        Self { allow, ..Self::new(StatusCode::METHOD_NOT_ALLOWED, error) }
    }

    /// The body of the answer.
    pub(crate) fn to_json(&self) -> Json {
        status_json(&self.status)
    }

    pub(crate) fn into_response(self) -> Response<Body> {
        let status = self.http.unwrap_or_else(|| http_status(self.status.code()));
        let mut response = respond(status, JSON, self.to_json().to_string());
        let headers = response.headers_mut();
        copy_metadata(self.status.metadata(), headers);
        if let Some(seconds) = retry_after(&self.status) {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if !self.allow.is_empty() {
            headers.insert(header::ALLOW, allow(&self.allow));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        Self { http: None, allow: Vec::new(), status: Box::new(status) }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Status::from(error).into()
    }
}

/// A response with a body.
pub(crate) fn respond(
    status: StatusCode,
    content_type: HeaderValue,
    body: impl Into<hyper::body::Bytes>,
) -> Response<Body> {
    let mut response = Response::new(Body::new(http_body_util::Full::new(body.into())));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}

/// The verbs of a path as a header: GET brings HEAD with it, and OPTIONS always works.
pub(crate) fn allow(verbs: &[Method]) -> HeaderValue {
    let head = verbs.contains(&Method::GET).then_some(Method::HEAD);
    let verbs: Vec<_> =
        verbs.iter().cloned().chain(head).chain([Method::OPTIONS]).map(|verb| verb.to_string()).collect();
    HeaderValue::try_from(verbs.join(", ")).unwrap_or(HeaderValue::from_static("OPTIONS"))
}

/// The HTTP status of a code, as google.rpc.Code says.
pub(crate) fn http_status(code: Code) -> StatusCode {
    match code {
        Code::Ok => StatusCode::OK,
        // "Client Closed Request", which the http crate has no name for.
        Code::Cancelled => StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST),
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => StatusCode::BAD_REQUEST,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::AlreadyExists | Code::Aborted => StatusCode::CONFLICT,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::Unknown | Code::Internal | Code::DataLoss => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// A status as JSON: its code as a number and by name, its message, and its details, each with its `@type`.
pub(crate) fn status_json(status: &Status) -> Json {
    let code = status.code() as i32;
    json!({"code": code, "message": status.message(), "status": code_name(code), "details": details(status)})
}

/// The name of a code, e.g. `NOT_FOUND`.
fn code_name(code: i32) -> &'static str {
    NAMES.get(usize::try_from(code).unwrap_or_default()).copied().unwrap_or("UNKNOWN")
}

fn details(status: &Status) -> Json {
    let read = || -> Option<Json> {
        let message = POOL.get_message_by_name("google.rpc.Status")?;
        let status = DynamicMessage::decode(message, status.details()).ok()?;
        // Fails for a type that no contract of this process has.
        serde_json::to_value(&status).ok()?.get_mut("details").map(Json::take)
    };
    read().unwrap_or_else(|| json!([]))
}

/// Whole seconds, never too few.
fn retry_after(status: &Status) -> Option<u64> {
    let delay: Duration = status.get_details_retry_info()?.retry_delay?;
    Some((delay.as_secs() + u64::from(delay.subsec_nanos() > 0)).max(1))
}

/// Copies what a call said beside its answer, e.g. `idempotency-replayed`, but for what belongs to gRPC and to HTTP.
pub(crate) fn copy_metadata(metadata: &MetadataMap, headers: &mut HeaderMap) {
    const OURS: [HeaderName; 5] =
        [header::CONTENT_TYPE, header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION, header::DATE];
    for (name, value) in metadata.as_ref() {
        let text = name.as_str();
        if !text.starts_with("grpc-") && !text.ends_with("-bin") && !OURS.contains(name) {
            headers.append(name.clone(), value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// google.rpc.Code: the number, its name, and the HTTP status that its comments give.
    const CODES: [(i32, &str, u16); 17] = [
        (0, "OK", 200),
        (1, "CANCELLED", 499),
        (2, "UNKNOWN", 500),
        (3, "INVALID_ARGUMENT", 400),
        (4, "DEADLINE_EXCEEDED", 504),
        (5, "NOT_FOUND", 404),
        (6, "ALREADY_EXISTS", 409),
        (7, "PERMISSION_DENIED", 403),
        (8, "RESOURCE_EXHAUSTED", 429),
        (9, "FAILED_PRECONDITION", 400),
        (10, "ABORTED", 409),
        (11, "OUT_OF_RANGE", 400),
        (12, "UNIMPLEMENTED", 501),
        (13, "INTERNAL", 500),
        (14, "UNAVAILABLE", 503),
        (15, "DATA_LOSS", 500),
        (16, "UNAUTHENTICATED", 401),
    ];

    #[test]
    fn codes_have_the_http_status_that_google_rpc_says() {
        for (number, name, http) in CODES {
            let code = Code::from_i32(number);
            assert_eq!((code_name(number), http_status(code).as_u16()), (name, http));
        }
    }

    #[test]
    fn an_error_is_a_status_with_typed_details() {
        let error = Error::new(&reasons::STOPPING, "ask again")
            .retry_after(Duration::from_millis(1200))
            .with("thing", "things/a");
        let response = Refusal::from(error.clone()).into_response();
        assert_eq!(
            (response.status().as_u16(), &response.headers()["retry-after"]),
            (503, &HeaderValue::from_static("2"))
        );
        let expected = json!({
            "code": 14,
            "status": "UNAVAILABLE",
            "message": "ask again",
            "details": [
                {
                    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                    "reason": "STOPPING",
                    "domain": "jumun.dev",
                    "metadata": {"thing": "things/a"},
                },
                {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1.200s"},
            ],
        });
        let mut written = status_json(&error.into());
        // Which detail comes first is not promised.
        written["details"].as_array_mut().expect("details").sort_by_key(|detail| detail["@type"].to_string());
        assert_eq!(written, expected);
    }

    #[test]
    fn a_detail_of_an_unknown_type_does_not_hide_the_error() {
        let any = tonic_types::pb::Status {
            details: vec![prost_types::Any { type_url: "type.googleapis.com/some.Thing".to_owned(), value: vec![1] }],
            ..Default::default()
        };
        let status = Status::with_details(Code::Aborted, "no", prost::Message::encode_to_vec(&any).into());
        assert_eq!(status_json(&status), json!({"code": 10, "status": "ABORTED", "message": "no", "details": []}));
    }

    #[test]
    fn what_belongs_to_grpc_is_not_copied() {
        let mut metadata = MetadataMap::new();
        for (name, value) in [("idempotency-replayed", "true"), ("grpc-encoding", "gzip"), ("content-type", "x")] {
            metadata.insert(name, value.parse().expect("a value"));
        }
        let mut headers = HeaderMap::new();
        copy_metadata(&metadata, &mut headers);
        assert_eq!(
            headers.into_iter().map(|(name, _)| name).collect::<Vec<_>>(),
            [Some("idempotency-replayed".parse().expect("a name"))]
        );
    }
}
