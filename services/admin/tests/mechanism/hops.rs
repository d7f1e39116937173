//! Propagation of versions: the version that a request asks for is passed on with the calls that are made for it, and
//! the response names the services that were called.

use std::{
    convert::Infallible,
    task::{Context as TaskContext, Poll},
};

use futures::future::BoxFuture;
use http::{Request, Response};
use rpc::Channel;
use runtime::{Context, ContextBuilder};
use testkit::TestCluster;
use tonic::{Code, Status, body::Body, server::NamedService};
use tower::{Service, ServiceExt};

const ORDER: &str = "/jumun.order.v1.OrderService/GetOrder";
const PAYMENT: &str = "/jumun.payment.v1.PaymentService/GetPayment";

type Answer = BoxFuture<'static, Result<Response<Body>, Infallible>>;

/// Responds with the response of payment.
#[derive(Clone)]
struct Order(Channel);

/// Responds with the requested version.
#[derive(Clone)]
struct Payment;

impl NamedService for Order {
    const NAME: &'static str = "jumun.order.v1.OrderService";
}

impl NamedService for Payment {
    const NAME: &'static str = "jumun.payment.v1.PaymentService";
}

impl Service<Request<Body>> for Order {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Answer {
        let mut channel = self.0.clone();
        Box::pin(async move {
            // Twice, as with a retry.
            let _ = channel.call(post(PAYMENT)).await;
            Ok(channel.call(post(PAYMENT)).await.unwrap_or_else(Status::into_http))
        })
    }
}

impl Service<Request<Body>> for Payment {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Answer {
        let mut answer = Status::ok("").into_http();
        if let Some(wanted) = request.headers().get("x-jumun-version") {
            answer.headers_mut().insert("wanted", wanted.clone());
        }
        Box::pin(std::future::ready(Ok(answer)))
    }
}

fn post(path: &str) -> Request<Body> {
    Request::post(path).body(Body::empty()).expect("a request")
}

fn context(name: &'static str, build: fn(&mut ContextBuilder<'_>) -> anyhow::Result<()>) -> Context {
    Context { name, calls: &[], databases: Vec::new(), reasons: &[], build }
}

/// Order's response to a request for a version; "": for none.
async fn ask(cluster: &TestCluster, wanted: &'static str) -> Response<Body> {
    let mut request = post(ORDER);
    if !wanted.is_empty() {
        request.headers_mut().insert("x-jumun-version", http::HeaderValue::from_static(wanted));
    }
    cluster.channel().oneshot(request).await.unwrap_or_else(|never| match never {})
}

#[tokio::test]
async fn a_requested_version_reaches_every_called_service_and_the_response_names_each_once() {
    let order = context("order", |builder| {
        let to_payment = builder.channel("payment")?;
        builder.serve(Order(to_payment));
        Ok(())
    });
    let payment = context("payment", |builder| {
        builder.serve(Payment);
        Ok(())
    });
    let cluster = TestCluster::new(admin::platform(), vec![order, payment]).await;
    for (wanted, passed_on) in [("canary", Some("canary")), ("", None), ("No Label", None), ("a,b", None)] {
        let answer = ask(&cluster, wanted).await;
        let headers = answer.headers();
        assert_eq!(Status::from_header_map(headers).map_or(Code::Unknown, |status| status.code()), Code::Ok);
        assert_eq!(headers["x-jumun-served-by"], "order/stable, payment/stable");
        let seen = headers.get("wanted").map(|value| value.to_str().expect("ASCII"));
        assert_eq!(seen, passed_on, "{wanted:?}");
    }
    cluster.finish().await;
}
