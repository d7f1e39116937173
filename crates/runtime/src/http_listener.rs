//! Everything that a process serves on its one port: gRPC, gRPC-web, HTTP/JSON and the page of metrics.

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

/// Answers requests by their content type: gRPC goes to the stack as it is, everything else is made to be gRPC.
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

    /// Lets web pages of these origins call.
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
        let asks_for_page = metrics_page::is_asked_for(&request);
        let answer = (!asks_for_page).then(|| self.api.call(request));
        Box::pin(async move {
            let mut response = match answer {
                Some(answer) => answer.await?,
                None => page.response().await,
            };
            stack.sign(&mut response);
            Ok(response)
        })
    }
}
