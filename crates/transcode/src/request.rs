//! An HTTP request as the message of a call: its path, its query and its body together.

use std::time::Duration;

use http::{HeaderMap, Method, header, request::Parts};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use prost_reflect::{DynamicMessage, FieldDescriptor};
use serde_json::{Map, Value as Json};

use jumun_core::{Error, Violations, reasons, time::timeout};
use rpc::MAX_REQUEST_BYTES;

use crate::{
    answer::Refusal,
    json,
    query::{self, scalar},
    route::{Body, Route},
};

/// The longest path and query together (bytes).
const MAX_TARGET_BYTES: usize = 8 * 1024;
/// How long a client may take over its body.
const BODY_READ_TIMEOUT: Duration = Duration::from_secs(10);

/// Refuses a path and query that are too long.
pub(crate) fn check_target(parts: &Parts) -> Result<(), Refusal> {
    let length = parts.uri.path().len() + parts.uri.query().map_or(0, str::len);
    if length <= MAX_TARGET_BYTES {
        return Ok(());
    }
    let message = format!("the path and the query are longer than {MAX_TARGET_BYTES} bytes");
    Err(Refusal::new(http::StatusCode::URI_TOO_LONG, Error::new(&reasons::TARGET_TOO_LONG, message)))
}

/// Reads what a request says.
pub(crate) async fn read(
    route: &Route,
    captures: Result<Vec<(&str, String)>, &str>,
    parts: &Parts,
    body: tonic::body::Body,
) -> Result<DynamicMessage, Refusal> {
    check_page(parts)?;
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

/// Browsers let any page POST without asking first, unless what it sends is said to be JSON: without a body, too.
fn check_page(parts: &Parts) -> Result<(), Refusal> {
    let of_page = parts.method == Method::POST && parts.headers.contains_key(header::ORIGIN);
    if of_page && !is_json(&parts.headers) {
        return Err(unsupported("a web page must send application/json"));
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

/// Puts what the path says into a request, which may say the same.
fn capture(route: &Route, path: &str, text: &str, request: &mut Map<String, Json>) -> Result<(), String> {
    let (mut message, mut object) = (route.method.input(), request);
    let mut names = path.split('.').peekable();
    while let Some(name) = names.next() {
        let field = message.get_field_by_name(name).ok_or("is not a field of the request")?;
        if names.peek().is_none() {
            return put(object, &field, text);
        }
        object = json::entry(object, &field, || Json::Object(Map::new())).as_object_mut().ok_or("is not a message")?;
        message = field.kind().as_message().cloned().ok_or("is not a message")?;
    }
    Ok(())
}

fn put(object: &mut Map<String, Json>, field: &FieldDescriptor, text: &str) -> Result<(), String> {
    let value = scalar(&field.kind(), text);
    let present = json::entry(object, field, || value.clone());
    if *present == value { Ok(()) } else { Err("is not what the path says; leave it out".to_owned()) }
}

/// Reads a body of JSON, within bounds.
async fn collect(headers: &HeaderMap, body: tonic::body::Body) -> Result<hyper::body::Bytes, Refusal> {
    if headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return Err(unsupported("a compressed body is not accepted"));
    }
    let reading = timeout(BODY_READ_TIMEOUT, Limited::new(body, MAX_REQUEST_BYTES).collect());
    let bytes = match reading.await {
        Ok(Ok(collected)) => collected.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let message = format!("the body is longer than {MAX_REQUEST_BYTES} bytes");
            let error = Error::new(&reasons::BODY_TOO_LARGE, message);
            return Err(Refusal::new(http::StatusCode::PAYLOAD_TOO_LARGE, error));
        }
        Ok(Err(error)) => return Err(Error::new(&reasons::BODY_BROKEN, format!("the body broke off: {error}")).into()),
        Err(_) => {
            let error = Error::new(&reasons::BODY_TOO_SLOW, "the body did not arrive in time");
            return Err(Refusal::new(http::StatusCode::REQUEST_TIMEOUT, error));
        }
    };
    if !bytes.is_empty() && !is_json(headers) {
        return Err(unsupported("the body must be application/json, in UTF-8"));
    }
    Ok(bytes)
}

fn unsupported(message: &str) -> Refusal {
    Refusal::new(http::StatusCode::UNSUPPORTED_MEDIA_TYPE, Error::new(&reasons::UNSUPPORTED_MEDIA_TYPE, message))
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(given) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return false };
    let given = given.to_ascii_lowercase();
    let mut words = given.split(';').map(str::trim);
    words.next() == Some("application/json")
        && words.all(|word| word.strip_prefix("charset=").is_none_or(|charset| charset.trim_matches('"') == "utf-8"))
}

#[cfg(test)]
mod tests;
