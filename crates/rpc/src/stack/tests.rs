use std::future::pending;

use auth::{AccessTable, Authentication};
use futures::FutureExt;
use http::HeaderValue;
use jumun_core::{Code, Contracts, Role, RoleTable, Roles, ServiceVersion, reason_of};
use prometheus::{Registry, TextEncoder};
use prost_reflect::DescriptorPool;
use tonic::{Status, server::NamedService};
use tonic_types::StatusExt;

use super::*;
use crate::{
    admission::{RETRY_AFTER, SPREAD_STEPS},
    limiter::MAX_LIMIT,
    meters::Meters,
    overload::Overload,
};

const CREATE: &str = "/test.Things/Create";
const GET: &str = "/test.Things/Get";

/// A service that never answers.
#[derive(Clone)]
struct NeverAnswers;

impl NamedService for NeverAnswers {
    const NAME: &'static str = "test.Things";
}

impl Service<Request<Body>> for NeverAnswers {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        Box::pin(pending())
    }
}

/// The contracts of things.proto and library.proto.
pub(crate) fn contracts() -> Contracts {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/stack");
    let mut compiler = protox::Compiler::new([folder]).expect("the folder");
    compiler.include_imports(true).open_files(["things.proto", "library.proto"]).expect("contracts");
    let service = Role::new(1);
    Contracts {
        encoded: &[],
        pool: DescriptorPool::decode(compiler.encode_file_descriptor_set().as_slice()).expect("descriptors"),
        deadline_option: "test.deadline",
        access_option: "test.access",
        roles: RoleTable { names: &[], service, unrestricted: Roles::of(&[service]) },
        essential_services: &["test.Operators"],
    }
}

/// A stack with the service that never answers, and its metrics.
fn stack_and_metrics(is_protected: bool) -> (GrpcStack, Registry) {
    let contracts = contracts();
    let methods = Arc::new(MethodTable::new(&contracts));
    let overload = Arc::new(Overload::new(is_protected, methods.clone(), Vec::new(), Vec::new()));
    let (registry, version) = (Registry::new(), ServiceVersion::default());
    let meters = Meters::new(&registry, &methods, &version).expect("metrics");
    let mut services = Services::default();
    services.add(NeverAnswers);
    let table = AccessTable::of_services(&contracts, &[]).expect("nothing is declared");
    let parts = StackParts {
        served_by: Arc::new(ServedByHeaders::new(&version, &methods, &[])),
        admission: AdmissionControl::new(overload, meters),
        authorizer: Authentication::default().authorizer(table),
        faults: None,
        methods,
    };
    (GrpcStack::new(services, parts), registry)
}

fn stack(is_protected: bool) -> GrpcStack {
    stack_and_metrics(is_protected).0
}

fn call(stack: &GrpcStack, path: &str, timeout: Option<&'static str>) -> Answer {
    let mut request = Request::get(path).body(Body::empty()).expect("a request");
    if let Some(timeout) = timeout {
        request.headers_mut().insert("grpc-timeout", HeaderValue::from_static(timeout));
    }
    stack.clone().call(request)
}

async fn status(answer: Answer) -> Status {
    let Ok(response) = answer.await;
    Status::from_header_map(response.headers()).expect("a status")
}

#[tokio::test(start_paused = true)]
async fn a_call_ends_with_deadline_exceeded_at_the_deadline_of_its_method_or_of_its_caller() {
    let stack = stack(true);
    for (path, asked, millis) in
        [(CREATE, None, 4000), (CREATE, Some("200m"), 200), (CREATE, Some("1M"), 4000), (GET, None, 2000)]
    {
        let begun = tokio::time::Instant::now();
        let status = status(call(&stack, path, asked)).await;
        assert_eq!((status.code(), begun.elapsed().as_millis()), (Code::DeadlineExceeded, millis), "{path} {asked:?}");
        assert!(status.get_details_retry_info().is_some());
    }
}

#[tokio::test]
async fn calls_beyond_a_methods_limit_are_refused_at_once_and_other_methods_are_served() {
    let stack = stack(true);
    let waiting: Vec<_> = (0..MAX_LIMIT).map(|_| call(&stack, CREATE, None)).collect();
    let refused = call(&stack, CREATE, None).now_or_never().expect("at once").expect("never fails");
    let refused = Status::from_header_map(refused.headers()).expect("a status");
    assert_eq!((refused.code(), reason_of(&refused).as_str()), (Code::ResourceExhausted, "OVERLOADED"));
    assert!(
        refused.get_details_retry_info().and_then(|info| info.retry_delay).is_some_and(|delay| delay >= RETRY_AFTER)
    );
    let mut other = call(&stack, GET, None);
    assert!(futures::poll!(&mut other).is_pending(), "another method is admitted");
    let admin = status(call(&stack, "/test.Operators/Look", None)).await;
    assert_eq!(admin.code(), Code::Unimplemented, "it was admitted; the service does not exist");
    drop(waiting);
    assert!(futures::poll!(call(&stack, CREATE, None)).is_pending(), "cancelled calls make room");
}

#[tokio::test]
async fn refused_callers_get_different_retry_delays() {
    let stack = stack(true);
    let _waiting: Vec<_> = (0..MAX_LIMIT).map(|_| call(&stack, CREATE, None)).collect();
    let mut delays = Vec::new();
    for _ in 0..SPREAD_STEPS {
        delays.extend(
            status(call(&stack, CREATE, None)).await.get_details_retry_info().and_then(|info| info.retry_delay),
        );
    }
    delays.sort_unstable();
    delays.dedup();
    assert_eq!(delays.len(), SPREAD_STEPS as usize);
}

#[tokio::test]
async fn without_protection_no_call_is_refused() {
    let stack = stack(false);
    let _waiting: Vec<_> = (0..=MAX_LIMIT).map(|_| call(&stack, CREATE, None)).collect();
    assert!(futures::poll!(call(&stack, CREATE, None)).is_pending());
}

#[tokio::test(start_paused = true)]
async fn metrics_name_methods_and_codes_and_no_unknown_path() {
    let (stack, registry) = stack_and_metrics(true);
    status(call(&stack, GET, None)).await;
    status(call(&stack, "/made.up/Path", None)).await;
    let page = TextEncoder::new().encode_to_string(&registry.gather()).expect("a page");
    let line = |method: &str, code: &str| {
        format!(
            "rpc_server_call_duration_seconds_count{{rpc_method=\"{method}\",rpc_response_status_code=\"{code}\",rpc_system_name=\"grpc\",service_version=\"stable\"}} 1"
        )
    };
    for line in [line("test.Things/Get", "DEADLINE_EXCEEDED"), line("_OTHER", "UNIMPLEMENTED")] {
        assert!(page.contains(&line), "{line} is not in:\n{page}");
    }
    assert!(!page.contains("made.up"), "{page}");
}
