//! HTTP/JSON, server-sent events, gRPC-web and OpenAPI for any gRPC service, from its descriptors.
//!
//! The transcoder reads `google.api.http` when the process starts, and is a gRPC client of the process's own stack. So
//! deadlines, authorization and limits apply to it as to gRPC, and a new method needs no code here.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests may sleep and spawn as they like"))]

mod answer;
mod codec;
#[cfg(test)]
mod everything;
mod http_api;
mod json;
mod openapi;
mod origins;
mod query;
mod request;
mod route;
mod stream;
mod template;
mod transcoder;

pub use codec::DynamicCodec;
pub use http_api::{ContentType, HttpApi, content_type};
pub use openapi::{About, describe};
pub use origins::Origins;
