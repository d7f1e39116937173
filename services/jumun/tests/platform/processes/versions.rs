//! Requirements §1.5, without the mesh: a stable payment and a canary, distinguished from outside, and one failing.

use contracts::{
    admin::v1::{ClearFaultsRequest, Fault, SetFaultRequest, admin_service_client::AdminServiceClient},
    order::v1::{CreateOrderRequest, Order, order::State as OrderState},
    payment::v1::{GetPaymentRequest, payment_service_client::PaymentServiceClient},
};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tonic::{Code, Request, Status, metadata::MetadataMap, transport::Channel};

use super::{
    super::{drills::scrape::metrics, http::json_order},
    clients::{Refusal, channel, new_id, wish},
    cluster::{FOOD_ALONE, ProcessCluster, RECOVERY},
    program::Program,
    router::Router,
    temp_env::eventually,
    trace::{Collector, Sink},
    traces::{BOUND, traced},
};

const AUTHORIZE: &str = "jumun.payment.v1.PaymentService/AuthorizePayment";
const GET: &str = "jumun.payment.v1.PaymentService/GetPayment";

/// food-delivery, each context in a process of its own, and payment twice.
struct Versions {
    cluster: ProcessCluster,
    canary: usize,
    _router: Router,
}

impl Versions {
    async fn start(collector: &Collector) -> Self {
        let mut cluster = ProcessCluster::split(FOOD_ALONE).await;
        let canary = cluster.add(&["payment"]);
        cluster.set("JUMUN_DRILLS", "true");
        cluster.set("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint());
        cluster.set("OTEL_BSP_SCHEDULE_DELAY", "100");
        let program = cluster.programs().nth(canary).expect("the canary");
        program.set("JUMUN_SERVICE_VERSION", "canary");
        let canary_url = program.url();
        let router = Router::between(&cluster.url("payment"), &canary_url).await;
        cluster.program("order").set("JUMUN_PAYMENT_ADDR", format!("http://{}", router.address));
        cluster.start().await;
        Self { cluster, canary, _router: router }
    }

    fn canary(&mut self) -> &mut Program {
        self.cluster.programs().nth(self.canary).expect("the canary")
    }

    /// Channels to the stable payment and to the canary.
    fn payments(&mut self) -> [Channel; 2] {
        [channel(&self.cluster.url("payment")), channel(&self.canary().url())]
    }

    /// Orders, asking for a version unless it is ""; returns the answer, and the versions that handled it.
    async fn order(&self, request_id: &str, wanted: &str) -> (Result<Order, Status>, String) {
        let request = CreateOrderRequest { order: Some(wish("tok_visa")), request_id: request_id.to_owned() };
        let mut request = Request::new(request);
        if !wanted.is_empty() {
            request.metadata_mut().insert("x-jumun-version", wanted.parse().expect("ASCII"));
        }
        match self.cluster.clients().orders.create_order(request).await {
            Ok(answer) => {
                let served_by = served_by(answer.metadata());
                (Ok(answer.into_inner()), served_by)
            }
            Err(status) => {
                let served_by = served_by(status.metadata());
                (Err(status), served_by)
            }
        }
    }
}

/// Orders by HTTP/JSON; returns the versions that handled it.
async fn order_as_json(url: &str, wanted: &str) -> String {
    let request = http::Request::post(format!("{url}/v1/orders?requestId={}", new_id()))
        .header("content-type", "application/json")
        .header("x-jumun-version", wanted)
        .body(Full::<Bytes>::from(json_order("tok_visa")))
        .expect("a request");
    let answer = Client::builder(TokioExecutor::new()).build_http().request(request).await.expect("an answer");
    assert_eq!(answer.status(), 200);
    answer.headers()["x-jumun-served-by"].to_str().expect("ASCII").to_owned()
}

fn served_by(metadata: &MetadataMap) -> String {
    let value = metadata.get("x-jumun-served-by").expect("every answer says it");
    value.to_str().expect("ASCII").to_owned()
}

fn fault(target: &str, code: &str, every: i32) -> SetFaultRequest {
    let (target, code) = (target.to_owned(), code.to_owned());
    SetFaultRequest { fault: Some(Fault { target, code, every, ..Fault::default() }) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs servers: make test"]
async fn a_version_shows_in_answers_metrics_and_traces_and_a_wanted_one_reaches_payment_over_order() {
    let collector = Collector::Own(Sink::start().await);
    let mut versions = Versions::start(&collector).await;
    for (wanted, payment, count) in [("", "stable", 3), ("canary", "canary", 4), ("Canary!", "stable", 2)] {
        for _ in 0..count {
            let (placed, served_by) = versions.order(&new_id(), wanted).await;
            assert_eq!(placed.expect("a good card").state(), OrderState::Placed);
            assert_eq!(served_by, format!("order/stable, payment/{payment}"), "{wanted:?}");
        }
    }

    let as_json = order_as_json(&versions.cluster.url("order"), "canary").await;
    assert_eq!(as_json, "order/stable, payment/canary");

    let addresses = [versions.cluster.program("payment").address, versions.canary().address];
    for (address, version, count) in [(addresses[0], "stable", 5), (addresses[1], "canary", 5)] {
        let page = metrics(address).await;
        let build = format!("jumun_build_info{{service_version=\"{version}\",version=");
        assert!(page.contains(&build), "{build} is not in {page}");
        let calls = format!(
            "rpc_server_call_duration_seconds_count{{rpc_method=\"{AUTHORIZE}\",rpc_response_status_code=\"OK\",\
             rpc_system_name=\"grpc\",service_version=\"{version}\"}} {count}\n"
        );
        assert!(page.contains(&calls), "{calls} is not in {page}");
    }

    let (trace, mut request) = traced(CreateOrderRequest { order: Some(wish("tok_visa")), request_id: new_id() });
    request.metadata_mut().insert("x-jumun-version", "canary".parse().expect("ASCII"));
    versions.cluster.clients().orders.create_order(request).await.expect("a good card");
    eventually("a trace of both versions", BOUND, || async {
        let spans = collector.spans(&trace).await;
        let served = |method: &str, version: &str| {
            spans.iter().any(|span| span.kind == "server" && span.name.ends_with(method) && span.version == version)
        };
        let is_whole = served("/CreateOrder", "stable") && served("/AuthorizePayment", "canary");
        if is_whole { Ok(()) } else { Err(format!("{spans:#?}")) }
    })
    .await;
    versions.cluster.becomes_clean(RECOVERY).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs servers: make test"]
async fn a_fault_in_one_replica_fails_exactly_its_calls_and_is_over_when_it_is_cleared() {
    let mut versions = Versions::start(&Collector::Own(Sink::start().await)).await;
    let [stable, canary] = versions.payments();
    let mut operator = AdminServiceClient::new(canary.clone());

    operator.set_fault(fault(GET, "INTERNAL", 3)).await.expect("drills are on");
    for (payments, expected) in [(stable, vec![]), (canary, vec![3, 6, 9])] {
        let mut struck = Vec::new();
        for call in 1..=9 {
            let request = GetPaymentRequest { name: "payments/order-nobody".to_owned() };
            let refused =
                PaymentServiceClient::new(payments.clone()).get_payment(request).await.expect_err("no payment");
            match refused.code() {
                Code::Internal => struck.push(call),
                code => assert_eq!(code, Code::NotFound, "{refused:?}"),
            }
        }
        assert_eq!(struck, expected);
    }

    operator.set_fault(fault(AUTHORIZE, "UNAVAILABLE", 1)).await.expect("drills are on");
    let request_id = new_id();
    let (refused, served_by) = versions.order(&request_id, "canary").await;
    let refused = Refusal::new(&refused.expect_err("the canary fails"));
    let name = refused.expect_retry(Code::Unavailable, "PAYMENT_UNAVAILABLE");
    assert_eq!(served_by, "order/stable, payment/canary");
    let (placed, served_by) = versions.order(&new_id(), "").await;
    assert_eq!(placed.expect("the stable version goes on").state(), OrderState::Placed);
    assert_eq!(served_by, "order/stable, payment/stable");

    let cleared = operator.clear_faults(ClearFaultsRequest::default()).await.expect("drills are on").into_inner();
    assert_eq!(cleared.cleared_count, 2);
    let (placed, _) = versions.order(&request_id, "canary").await;
    assert_eq!(placed.expect("it is over").name, name, "the same request is the same order");
    versions.cluster.becomes_clean(RECOVERY).await;
}
