//! Transcodes HTTP/JSON requests to gRPC calls on the server stack, for every method of the process.

use std::sync::OnceLock;

use http::{HeaderMap, Method, Request, Response, StatusCode, header, request::Parts, uri::PathAndQuery};
use hyper::body::Bytes;
use prost_reflect::{DescriptorPool, DynamicMessage};
use tonic::{body::Body, client::Grpc, metadata::MetadataMap};

use jumun_core::{Contracts, Error, contracts::path};
use rpc::{GrpcStack, grpc_timeout};

use crate::{
    answer::{ErrorResponse, JSON, allow, copy_metadata, respond},
    codec::DynamicCodec,
    json,
    openapi::{self, About},
    request,
    route::{Found, Route, Routes},
    stream::{self, Format},
};

/// The path of the OpenAPI document.
const OPENAPI: &str = "/openapi.json";

/// Serves HTTP/JSON by calling the server stack.
pub(crate) struct Transcoder {
    stack: GrpcStack,
    routes: Routes,
    pool: DescriptorPool,
    about: About,
    /// Generated on the first request for it.
    openapi: OnceLock<Bytes>,
}

impl Transcoder {
    /// A transcoder for these gRPC services. Fails when a `google.api.http` annotation cannot be served.
    pub(crate) fn new(
        stack: GrpcStack,
        contracts: &Contracts,
        services: &[&str],
        about: About,
    ) -> anyhow::Result<Self> {
        let served = contracts.methods().filter(|method| services.contains(&method.parent_service().full_name()));
        let routes = Routes::new(served)?;
        Ok(Self { stack, routes, pool: contracts.pool.clone(), about, openapi: OnceLock::new() })
    }

    /// Responds to a request. Errors are responses, too.
    pub(crate) async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let is_head = request.method() == Method::HEAD;
        let response = self.transcode(request).await.unwrap_or_else(ErrorResponse::into_response);
        if is_head { response.map(|_| Body::empty()) } else { response }
    }

    async fn transcode(&self, request: Request<Body>) -> Result<Response<Body>, ErrorResponse> {
        let (parts, body) = request.into_parts();
        request::check_target(&parts)?;
        let (verb, path) = (&parts.method, parts.uri.path());
        if path == OPENAPI {
            return self.describe(verb);
        }
        match self.routes.find(verb, path) {
            Found::Call(route, captures) => {
                let message = request::read(route, captures, &parts, body).await?;
                self.call(route, parts, message).await
            }
            Found::Other(verbs) => other_verb(verb, verbs),
            Found::Nothing => Err(Error::not_found(path).into()),
        }
    }

    fn describe(&self, verb: &Method) -> Result<Response<Body>, ErrorResponse> {
        match *verb {
            Method::GET | Method::HEAD => {
                let document = self
                    .openapi
                    .get_or_init(|| openapi::document(&self.routes, &self.pool, &self.about).to_string().into());
                Ok(respond(StatusCode::OK, JSON, document.clone()))
            }
            _ => other_verb(verb, vec![Method::GET]),
        }
    }

    /// Calls the method of a route.
    async fn call(
        &self,
        route: &Route,
        parts: Parts,
        message: DynamicMessage,
    ) -> Result<Response<Body>, ErrorResponse> {
        let path = PathAndQuery::try_from(path(&route.method)).map_err(Error::internal)?;
        let codec = DynamicCodec { output: route.method.output() };
        let (timeout, format) = (grpc_timeout(&parts.headers), Format::accepted(&parts.headers));
        let metadata = MetadataMap::from_headers(forwarded(&parts.headers));
        let request = tonic::Request::from_parts(metadata, parts.extensions, message);
        let mut client = Grpc::new(self.stack.clone());
        if route.method.is_server_streaming() {
            let answer = Box::pin(client.server_streaming(request, path, codec)).await?;
            return Ok(stream::respond(answer, format, route.response_body.clone(), timeout));
        }
        let (metadata, answer, _) = Box::pin(client.unary(request, path, codec)).await?.into_parts();
        let json = json::of_message(&answer, route.response_body.as_ref())?;
        let mut response = respond(StatusCode::OK, JSON, json);
        copy_metadata(&metadata, response.headers_mut());
        Ok(response)
    }
}

fn other_verb(verb: &Method, verbs: Vec<Method>) -> Result<Response<Body>, ErrorResponse> {
    if verb != Method::OPTIONS {
        return Err(ErrorResponse::not_allowed(verbs));
    }
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response.headers_mut().insert(header::ALLOW, allow(&verbs));
    Ok(response)
}

/// The request headers that are forwarded as metadata of the call.
fn forwarded(headers: &HeaderMap) -> HeaderMap {
    let is_forwarded = |name: &str| {
        matches!(name, "authorization" | "traceparent" | "tracestate" | "grpc-timeout")
            || name.starts_with("x-") && !name.ends_with("-bin")
    };
    let forwarded = headers.iter().filter(|(name, _)| is_forwarded(name.as_str()));
    forwarded.map(|(name, value)| (name.clone(), value.clone())).collect()
}
