//! Dispatches the requests on the one port of a process: gRPC, gRPC-web, HTTP/JSON and the metrics page.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use rpc::{Answer, GrpcStack};
use tonic::body::Body;
use tower::Service;
use transcode::{ContentType, HttpApi, Origins, content_type};

use crate::metrics_page::{self, MetricsPage};

/// Dispatches requests by path and content type: gRPC goes to the stack unchanged, `/metrics` to the metrics page, and
/// everything else to the HTTP API.
#[derive(Clone)]
pub struct HttpListener {
    stack: GrpcStack,
    api: HttpApi,
    page: Arc<MetricsPage>,
}

impl HttpListener {
    pub(crate) fn new(stack: GrpcStack, api: HttpApi, page: MetricsPage) -> Self {
        Self { stack, api, page: Arc::new(page) }
    }

    /// Permits web pages of these origins to call (CORS).
    #[must_use]
    pub fn shared_with(self, origins: &Origins) -> Self {
        Self { api: self.api.shared_with(origins), ..self }
    }
}

impl Service<Request<Body>> for HttpListener {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Answer {
        if let Some(ContentType::Grpc) = content_type(request.headers()) {
            return self.stack.call(request);
        }
        let (stack, page) = (self.stack.clone(), self.page.clone());
        let is_for_page = metrics_page::is_asked_for(&request);
        let answer = (!is_for_page).then(|| self.api.call(request));
        Box::pin(async move {
            let mut response = match answer {
                Some(answer) => answer.await?,
                None => page.response().await,
            };
            stack.identify(&mut response);
            Ok(response)
        })
    }
}
