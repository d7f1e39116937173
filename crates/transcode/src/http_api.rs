//! The HTTP API: gRPC-web and HTTP/JSON, both on top of the server stack.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use http::{HeaderMap, Method, Request, Response, header};
use jumun_core::Contracts;
use rpc::{Answer, GrpcStack};
use tonic::body::Body;
use tonic_web::{GrpcWebLayer, GrpcWebService};
use tower::{Layer, Service};
use tower_http::cors::Cors;

use crate::{openapi::About, origins::Origins, transcoder::Transcoder};

/// Serves gRPC-web and HTTP/JSON.
#[derive(Clone)]
pub struct HttpApi {
    same_origin: Both,
    /// The same behind the CORS policy; None: no other origin is permitted.
    cross_origin: Option<Cors<Both>>,
}

#[derive(Clone)]
struct Both(Arc<(GrpcWebService<GrpcStack>, Transcoder)>);

impl HttpApi {
    /// An API for these gRPC services. Fails when a `google.api.http` annotation cannot be served.
    pub fn new(stack: GrpcStack, contracts: &Contracts, services: &[&str], about: About) -> anyhow::Result<Self> {
        let transcoder = Transcoder::new(stack.clone(), contracts, services, about)?;
        let same_origin = Both(Arc::new((GrpcWebLayer::new().layer(stack), transcoder)));
        Ok(Self { same_origin, cross_origin: None })
    }

    /// Permits web pages of these origins to call (CORS).
    #[must_use]
    pub fn shared_with(self, origins: &Origins) -> Self {
        let cross_origin = origins.policy().map(|policy| policy.layer(self.same_origin.clone()));
        Self { cross_origin, ..self }
    }
}

impl Service<Request<Body>> for HttpApi {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Answer {
        // OPTIONS with an origin is a CORS preflight; without one it asks for the methods of the path.
        let is_for_cors = request.method() != Method::OPTIONS || request.headers().contains_key(header::ORIGIN);
        match &mut self.cross_origin {
            Some(cross_origin) if is_for_cors => Box::pin(cross_origin.call(request)),
            _ => self.same_origin.call(request),
        }
    }
}

impl Service<Request<Body>> for Both {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Answer {
        let both = self.0.clone();
        Box::pin(async move {
            match content_type(request.headers()) {
                Some(_) => both.0.clone().call(request).await,
                None => Ok(both.1.answer(request).await),
            }
        })
    }
}

/// The protocols whose requests carry gRPC messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentType {
    /// gRPC itself.
    Grpc,
    /// gRPC-web.
    GrpcWeb,
}

/// The gRPC protocol of a request, by its content type; None: neither.
pub fn content_type(headers: &HeaderMap) -> Option<ContentType> {
    let rest = headers.get(header::CONTENT_TYPE)?.as_bytes().strip_prefix(b"application/grpc")?;
    match rest.first() {
        None | Some(b'+' | b';') => Some(ContentType::Grpc),
        Some(b'-') => Some(ContentType::GrpcWeb),
        Some(_) => None,
    }
}
