//! The doors of a process, on one port: gRPC goes to the edge as it is, gRPC-web and HTTP/JSON are made to be gRPC.

mod answer;
mod codec;
mod json;
mod openapi;
mod origins;
mod query;
mod request;
mod route;
mod stream;
mod template;
mod transcoder;

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use futures::future::BoxFuture;
use http::{HeaderMap, Method, Request, Response, header};
use tonic::body::Body;
use tonic_web::{GrpcWebLayer, GrpcWebService};
use tower::{Layer, Service};
use tower_http::cors::Cors;

use crate::{
    edge::Edge,
    metrics::{self, Page},
};
use transcoder::Transcoder;

pub use codec::DynamicCodec;
pub use origins::Origins;

/// Everything that a request can come in by.
#[derive(Clone)]
pub struct Doors {
    edge: Edge,
    page: Arc<Page>,
    rest: Arc<Rest>,
}

/// What gRPC does not pass through.
struct Rest {
    others: Others,
    /// The same, where pages of other origins may call.
    shared: Option<Cors<Others>>,
}

/// The doors that are not gRPC itself.
#[derive(Clone)]
struct Others(Arc<(GrpcWebService<Edge>, Transcoder)>);

type Answer = BoxFuture<'static, Result<Response<Body>, Infallible>>;

impl Doors {
    /// Opens the doors to these services. A method whose annotation cannot be served is an error.
    pub(crate) fn new(edge: Edge, page: Page, services: &[&str]) -> anyhow::Result<Self> {
        let transcoder = Transcoder::new(edge.clone(), services)?;
        let others = Others(Arc::new((GrpcWebLayer::new().layer(edge.clone()), transcoder)));
        Ok(Self { edge, page: Arc::new(page), rest: Arc::new(Rest { others, shared: None }) })
    }

    /// Lets web pages of these origins call.
    #[must_use]
    pub(crate) fn shared_with(self, origins: &Origins) -> Self {
        let others = self.rest.others.clone();
        let shared = origins.policy().map(|policy| policy.layer(others.clone()));
        Self { rest: Arc::new(Rest { others, shared }), ..self }
    }
}

impl Service<Request<Body>> for Doors {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Answer {
        if let Some(ContentType::Grpc) = content_type(request.headers()) {
            return self.edge.call(request);
        }
        let edge = self.edge.clone();
        let answer = self.answer(request);
        Box::pin(async move {
            let mut response = answer.await?;
            edge.sign(&mut response);
            Ok(response)
        })
    }
}

impl Doors {
    /// Answers what is not gRPC.
    fn answer(&self, request: Request<Body>) -> Answer {
        if metrics::is_asked_for(&request) {
            let page = self.page.clone();
            return Box::pin(async move { Ok(page.response().await) });
        }
        // A question about a path comes without an origin, one about the policy comes with one.
        let of_page = request.method() != Method::OPTIONS || request.headers().contains_key(header::ORIGIN);
        match &self.rest.shared {
            Some(shared) if of_page => Box::pin(shared.clone().call(request)),
            _ => self.rest.others.clone().call(request),
        }
    }
}

impl Service<Request<Body>> for Others {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Answer {
        let doors = self.0.clone();
        Box::pin(async move {
            match content_type(request.headers()) {
                Some(_) => doors.0.clone().call(request).await,
                None => Ok(doors.1.answer(request).await),
            }
        })
    }
}

/// What of gRPC a request is, if it is.
enum ContentType {
    Grpc,
    GrpcWeb,
}

fn content_type(headers: &HeaderMap) -> Option<ContentType> {
    let rest = headers.get(header::CONTENT_TYPE)?.as_bytes().strip_prefix(b"application/grpc")?;
    match rest.first() {
        None | Some(b'+' | b';') => Some(ContentType::Grpc),
        Some(b'-') => Some(ContentType::GrpcWeb),
        Some(_) => None,
    }
}
