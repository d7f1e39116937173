//! Reads an HTTP request into the request message of a call, from its path, query and body.

use std::time::Duration;

use http::{HeaderMap, Method, header, request::Parts};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use prost_reflect::{DynamicMessage, FieldDescriptor};
use serde_json::{Map, Value as Json};

use jumun_core::{Error, Violations, reasons, time::timeout};
use rpc::MAX_REQUEST_BYTES;

use crate::{
    answer::ErrorResponse,
    json,
    query::{self, scalar},
    route::{Body, Route},
};

/// The longest path and query, together (bytes).
const MAX_TARGET_BYTES: usize = 8 * 1024;
/// How long a client may take to send its body.
const BODY_READ_TIMEOUT: Duration = Duration::from_secs(10);

/// Rejects a path and query that are too long, with 414.
pub(crate) fn check_target(parts: &Parts) -> Result<(), ErrorResponse> {
    let length = parts.uri.path().len() + parts.uri.query().map_or(0, str::len);
    if length <= MAX_TARGET_BYTES {
        return Ok(());
    }
    let message = format!("the path and the query are longer than {MAX_TARGET_BYTES} bytes");
    Err(ErrorResponse::new(http::StatusCode::URI_TOO_LONG, Error::new(&reasons::TARGET_TOO_LONG, message)))
}

/// Reads a request into the message of its route. `captures` are the variables of the path. Fails with every wrong
/// field.
pub(crate) async fn read(
    route: &Route,
    captures: Result<Vec<(&str, String)>, &str>,
    parts: &Parts,
    body: tonic::body::Body,
) -> Result<DynamicMessage, ErrorResponse> {
    check_cross_site(parts)?;
    let mut violations = Violations::default();
    let mut request = match &route.body {
        Body::None => Map::new(),
        Body::Whole => whole(json::parse(&collect(&parts.headers, body).await?)?)?,
        Body::Field(field) => {
            let bytes = collect(&parts.headers, body).await?;
            let given = (!bytes.is_empty()).then(|| json::parse(&bytes)).transpose()?;
            given.map(|json| (field.name().to_owned(), json)).into_iter().collect()
        }
    };
    match captures {
        Ok(captures) => {
            for (path, text) in captures {
                violations.take(path, capture(route, path, &text, &mut request));
            }
        }
        Err(field) => violations.add(field, "is not UTF-8"),
    }
    query::read(route, parts.uri.query().unwrap_or_default(), &mut request, &mut violations);
    violations.into_result()?;
    Ok(json::to_message(&route.method.input(), &Json::Object(request))?)
}

/// Prevents cross-site request forgery: browsers send a POST of any page without a CORS preflight unless its content
/// type requires one, so a POST with an origin must have the content type JSON, even without a body.
fn check_cross_site(parts: &Parts) -> Result<(), ErrorResponse> {
    let is_from_page = parts.method == Method::POST && parts.headers.contains_key(header::ORIGIN);
    if is_from_page && !is_json(&parts.headers) {
        return Err(unsupported("a request of a web page must have the content type application/json"));
    }
    Ok(())
}

fn whole(json: Json) -> Result<Map<String, Json>, Error> {
    match json {
        Json::Object(object) => Ok(object),
        _ => {
            let mut violations = Violations::default();
            violations.add("body", "must be a JSON object");
            violations.into_result().map(|()| Map::new())
        }
    }
}

/// Sets a field from the path. The body may set it only to the same value.
fn capture(route: &Route, path: &str, text: &str, request: &mut Map<String, Json>) -> Result<(), String> {
    let (mut message, mut object) = (route.method.input(), request);
    let mut names = path.split('.').peekable();
    while let Some(name) = names.next() {
        let field = message.get_field_by_name(name).ok_or("is not a field of the request")?;
        if names.peek().is_none() {
            return set(object, &field, text);
        }
        object = json::entry(object, &field, || Json::Object(Map::new())).as_object_mut().ok_or("is not a message")?;
        message = field.kind().as_message().cloned().ok_or("is not a message")?;
    }
    Ok(())
}

fn set(object: &mut Map<String, Json>, field: &FieldDescriptor, text: &str) -> Result<(), String> {
    let value = scalar(&field.kind(), text);
    let present = json::entry(object, field, || value.clone());
    if *present == value { Ok(()) } else { Err("differs from the path; leave it out".to_owned()) }
}

/// Reads the bytes of a JSON body, within limits of size and time.
async fn collect(headers: &HeaderMap, body: tonic::body::Body) -> Result<hyper::body::Bytes, ErrorResponse> {
    if headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return Err(unsupported("a compressed body is not accepted"));
    }
    let reading = timeout(BODY_READ_TIMEOUT, Limited::new(body, MAX_REQUEST_BYTES).collect());
    let bytes = match reading.await {
        Ok(Ok(collected)) => collected.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let message = format!("the body is longer than {MAX_REQUEST_BYTES} bytes");
            let error = Error::new(&reasons::BODY_TOO_LARGE, message);
            return Err(ErrorResponse::new(http::StatusCode::PAYLOAD_TOO_LARGE, error));
        }
        Ok(Err(error)) => {
            return Err(Error::new(&reasons::BODY_BROKEN, format!("the body cannot be read: {error}")).into());
        }
        Err(_) => {
            let error = Error::new(&reasons::BODY_TOO_SLOW, "the body did not arrive in time");
            return Err(ErrorResponse::new(http::StatusCode::REQUEST_TIMEOUT, error));
        }
    };
    if !bytes.is_empty() && !is_json(headers) {
        return Err(unsupported("the body must be application/json, in UTF-8"));
    }
    Ok(bytes)
}

fn unsupported(message: &str) -> ErrorResponse {
    ErrorResponse::new(http::StatusCode::UNSUPPORTED_MEDIA_TYPE, Error::new(&reasons::UNSUPPORTED_MEDIA_TYPE, message))
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(given) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return false };
    let given = given.to_ascii_lowercase();
    let mut parts = given.split(';').map(str::trim);
    parts.next() == Some("application/json")
        && parts.all(|part| part.strip_prefix("charset=").is_none_or(|charset| charset.trim_matches('"') == "utf-8"))
}

#[cfg(test)]
mod tests;
