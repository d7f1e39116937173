//! HTTP responses: canonical JSON, or a `google.rpc.Status` as JSON with the HTTP status of its code.

use std::{sync::LazyLock, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use prost_reflect::{DescriptorPool, DynamicMessage};
use serde_json::{Value as Json, json};
use tonic::{Code, Status, body::Body, metadata::MetadataMap};
use tonic_types::StatusExt;

use jumun_core::{Error, code::NAMES, reasons};

pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The message types of error details.
static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    let mut pool = DescriptorPool::global();
    pool.decode_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET).expect("what the build encoded decodes");
    pool
});

/// An error response.
#[derive(Debug)]
pub(crate) struct ErrorResponse {
    /// The HTTP status, where it is more specific than that of the gRPC code.
    http: Option<StatusCode>,
    allow: Vec<Method>,
    status: Box<Status>,
}

impl ErrorResponse {
    /// An error that has an HTTP status of its own.
    pub(crate) fn new(http: StatusCode, error: Error) -> Self {
        Self { http: Some(http), allow: Vec::new(), status: Box::new(error.into()) }
    }

    /// 405: the path exists for these verbs only.
    pub(crate) fn not_allowed(allow: Vec<Method>) -> Self {
        let error =
            Error::new(&reasons::METHOD_NOT_ALLOWED, "the path does not support this method; see the Allow header");
        Self { allow, ..Self::new(StatusCode::METHOD_NOT_ALLOWED, error) }
    }

    /// The body of the response.
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

impl From<Status> for ErrorResponse {
    fn from(status: Status) -> Self {
        Self { http: None, allow: Vec::new(), status: Box::new(status) }
    }
}

impl From<Error> for ErrorResponse {
    fn from(error: Error) -> Self {
        Status::from(error).into()
    }
}

/// A response with this status, content type and body.
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

/// The value of the Allow header for these verbs: GET implies HEAD, and OPTIONS is always allowed.
pub(crate) fn allow(verbs: &[Method]) -> HeaderValue {
    let head = verbs.contains(&Method::GET).then_some(Method::HEAD);
    let verbs: Vec<_> =
        verbs.iter().cloned().chain(head).chain([Method::OPTIONS]).map(|verb| verb.to_string()).collect();
    HeaderValue::try_from(verbs.join(", ")).unwrap_or(HeaderValue::from_static("OPTIONS"))
}

/// The HTTP status of a gRPC code, as the comments of google.rpc.Code define it.
pub(crate) fn http_status(code: Code) -> StatusCode {
    match code {
        Code::Ok => StatusCode::OK,
        // "Client Closed Request", for which the http crate has no name.
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

/// A status as JSON: `code` (the number), `status` (the name of the code), `message`, and `details`, each with its
/// `@type`.
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
        // Fails for a type that is not in the pool.
        serde_json::to_value(&status).ok()?.get_mut("details").map(Json::take)
    };
    read().unwrap_or_else(|| json!([]))
}

/// The retry delay in whole seconds, rounded up, at least 1.
fn retry_after(status: &Status) -> Option<u64> {
    let delay: Duration = status.get_details_retry_info()?.retry_delay?;
    Some((delay.as_secs() + u64::from(delay.subsec_nanos() > 0)).max(1))
}

/// Copies the response metadata of a call, e.g. `idempotency-replayed`, to HTTP headers. Headers of gRPC and of the
/// HTTP connection are left out.
pub(crate) fn copy_metadata(metadata: &MetadataMap, headers: &mut HeaderMap) {
    const EXCLUDED: [HeaderName; 5] =
        [header::CONTENT_TYPE, header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION, header::DATE];
    for (name, value) in metadata.as_ref() {
        let text = name.as_str();
        if !text.starts_with("grpc-") && !text.ends_with("-bin") && !EXCLUDED.contains(name) {
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
    fn codes_have_the_http_status_that_google_rpc_defines() {
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
        let response = ErrorResponse::from(error.clone()).into_response();
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
        // The order of details is not specified.
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
    fn metadata_of_grpc_is_not_copied() {
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
